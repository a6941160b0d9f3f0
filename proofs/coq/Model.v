(** * Transformers without residual connections, generic in the number type.

    The SAME [forward] and [generate] are run over the reals, over the
    rationals and over IEEE floating-point numbers.  Weights and prompts are
    rational: a number type says how it represents a rational. *)

From Coq Require Import List Arith Bool QArith.
Import ListNotations.

(** A number type.  [sum] and [affine] are primitive so that one theorem covers
    every order of summation and fused multiply-add: nothing here fixes one. *)
Record arithmetic (A : Type) := Arithmetic {
  of_Q : Q -> A;
  add : A -> A -> A;
  mul : A -> A -> A;
  div : A -> A -> A;
  relu : A -> A;
  leb : A -> A -> bool;
  sum : nat -> (nat -> A) -> A;                        (* f 0 + ... + f (n-1) *)
  affine : nat -> (nat -> A) -> (nat -> A) -> A -> A   (* x 0 * y 0 + ... + b *)
}.
Arguments of_Q {A} _ _. Arguments add {A} _ _ _. Arguments mul {A} _ _ _.
Arguments div {A} _ _ _. Arguments relu {A} _ _. Arguments leb {A} _ _ _.
Arguments sum {A} _ _ _. Arguments affine {A} _ _ _ _ _.

Definition matrix := nat -> nat -> Q.                  (* row, column *)

Record head := Head {
  head_dim : nat;                                      (* rows of W_Q and W_K *)
  W_Q : matrix;
  W_K : matrix;
  W_V : matrix }.

Record linear := Linear {
  out_dim : nat;
  in_dim : nat;
  weight : matrix;
  bias : nat -> Q;
  activated : bool }.                                  (* followed by a ReLU? *)

(** An attention layer (the heads' outputs are summed) and the MLP behind it. *)
Record block := Block {
  width : nat;                                         (* of the block's input *)
  value_dim : nat;                                     (* rows of every W_V *)
  heads : list head;
  layers : list linear }.

Record transformer := Transformer {
  vocab_size : nat;
  context_size : nat;
  embedding_dim : nat;
  embedding : matrix;                                  (* embedding_dim x vocab_size *)
  position_code : matrix;                              (* context_size x context_size *)
  blocks : list block }.

(** Virtual tokens (a soft prompt) fill the embedding half at the first positions. *)
Record prompt := Prompt {
  prompt_size : nat;
  virtual_token : nat -> nat -> Q }.                   (* which one, coordinate *)

(** A mask may depend on the current length: [m n i j] says that position [i]
    of [n] sees position [j]. *)
Definition mask := nat -> nat -> nat -> bool.
Definition causal : mask := fun _ i j => (j <=? i)%nat.
Definition full : mask := fun _ _ _ => true.

Section Forward.
Context {A : Type} (o : arithmetic A).

Definition vector := nat -> A.
Definition zero : A := of_Q o 0.

(** [W x + b] *)
Definition apply (cols : nat) (W : matrix) (b : nat -> Q) (x : vector) : vector :=
  fun r => affine o cols (fun c => of_Q o (W r c)) x (of_Q o (b r)).
Definition project (cols : nat) (W : matrix) (x : vector) : vector :=
  apply cols W (fun _ => 0%Q) x.
Definition dot (n : nat) (x y : vector) : A := affine o n x y zero.

(** From the scores of one position to its attention weights: given the head,
    the current length, what is visible, and the scores. *)
Definition normaliser := head -> nat -> (nat -> bool) -> vector -> vector.

Definition normalise (n : nat) (visible : nat -> bool) (u : vector) : vector :=
  fun j => if visible j
           then div o (u j) (sum o n (fun k => if visible k then u k else zero))
           else zero.

(** The limit of softmax for a large inverse temperature: uniform over the
    visible maximisers. *)
Definition maximal (n : nat) (visible : nat -> bool) (s : vector) (j : nat) : bool :=
  forallb (fun k => negb (visible k) || leb o (s k) (s j)) (seq 0 n).
Definition hardmax : normaliser := fun _ n visible s =>
  normalise n visible (fun j => if maximal n visible s j then of_Q o 1 else zero).

Definition score (d : nat) (h : head) (x : nat -> vector) (i j : nat) : A :=
  dot (head_dim h) (project d (W_Q h) (x i)) (project d (W_K h) (x j)).

Definition attention (nz : normaliser) (d n : nat) (m : nat -> nat -> bool)
    (h : head) (x : nat -> vector) (i : nat) : vector :=
  fun r => dot n (nz h n (m i) (score d h x i)) (fun j => project d (W_V h) (x j) r).

Definition attention_layer (nz : normaliser) (d n : nat) (m : nat -> nat -> bool)
    (hs : list head) (x : nat -> vector) (i : nat) : vector :=
  fun r => sum o (length hs)
    (fun k => nth k (map (fun h => attention nz d n m h x i r) hs) zero).

Definition layer_output (l : linear) (x : vector) : vector :=
  fun r => let z := apply (in_dim l) (weight l) (bias l) x r in
           if activated l then relu o z else z.
Definition mlp (ls : list linear) (x : vector) : vector :=
  fold_left (fun z l => layer_output l z) ls x.

Definition block_output (nz : normaliser) (n : nat) (m : nat -> nat -> bool)
    (b : block) (x : nat -> vector) (i : nat) : vector :=
  mlp (layers b) (attention_layer nz (width b) n m (heads b) x i).

(** All positions through all blocks; what comes out of the last one are logits. *)
Fixpoint forward (nz : normaliser) (n : nat) (m : nat -> nat -> bool)
    (bs : list block) (x : nat -> vector) : nat -> vector :=
  match bs with
  | [] => x
  | b :: bs => forward nz n m bs (block_output nz n m b x)
  end.

(** The input at position [i]: [embedding half ; position code]. *)
Definition inputs (tf : transformer) (p : prompt) (tokens : list nat) : nat -> vector :=
  fun i c => of_Q o
    (if (c <? embedding_dim tf)%nat
     then if (i <? prompt_size p)%nat then virtual_token p i c
          else embedding tf c (nth (i - prompt_size p)%nat tokens 0%nat)
     else position_code tf (c - embedding_dim tf)%nat i).

(** The logits at position [i] of prompt + tokens. *)
Definition logits (tf : transformer) (nz : normaliser) (m : mask) (p : prompt)
    (tokens : list nat) (i : nat) : vector :=
  let n := (prompt_size p + length tokens)%nat in
  forward nz n (m n) (blocks tf) (inputs tf p tokens) i.

(** The first index of the largest entry. *)
Fixpoint argmax (n : nat) (f : vector) : nat :=
  match n with
  | O => O
  | S k => let b := argmax k f in if leb o (f k) (f b) then b else k
  end.

(** Greedy decoding: [k] tokens after the prompt and the user's tokens. *)
Fixpoint generate (tf : transformer) (nz : normaliser) (m : mask) (p : prompt)
    (user : list nat) (k : nat) : list nat :=
  match k with
  | O => []
  | S k' =>
      let ys := generate tf nz m p user k' in
      let last := (prompt_size p + length user + k' - 1)%nat in
      ys ++ [argmax (vocab_size tf) (logits tf nz m p (user ++ ys) last)]
  end.
End Forward.
Arguments vector A : clear implicits.
Arguments normaliser A : clear implicits.
