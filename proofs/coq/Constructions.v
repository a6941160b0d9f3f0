(** * The four constructions, as explicit rational matrices.

    No weight mentions the target (the sequence or the map to be produced): only
    the virtual tokens do.  Tokens and positions count from 0. *)

From Coq Require Import List Arith ZArith QArith.
From PrefixProof Require Import Model.
Import ListNotations.

(** ** Matrices written row by row

    A row is a sum of terms; the term [(q, s, k)] is
    [q * (x_s + ... + x_(s+k-1))], the coefficient [q] in [k] columns from [s]. *)
Definition term := (Q * nat * nat)%type.
Definition pick (s : nat) : term := (1, s, 1%nat).
Definition total (s k : nat) : term := (1, s, k).
Definition scale (q : Q) (ts : list term) : list term :=
  map (fun '(a, s, k) => (q * a, s, k)) ts.

Definition entry (ts : list term) (c : nat) : Q :=
  fold_right (fun '(q, s, k) acc =>
    if ((s <=? c) && (c <? s + k))%nat%bool then q + acc else acc) 0 ts.
Definition by_rows (row : nat -> list term) : matrix := fun r c => entry (row r) c.

(** A layer is a stack of groups of neurons; a neuron is its row and its bias. *)
Definition neuron := (list term * Q)%type.
Fixpoint stack (groups : list (nat * (nat -> neuron))) (r : nat) : neuron :=
  match groups with
  | [] => ([], 0)
  | (k, f) :: gs => if (r <? k)%nat then f r else stack gs (r - k)
  end.
Definition height (groups : list (nat * (nat -> neuron))) : nat :=
  fold_right (fun g acc => (fst g + acc)%nat) O groups.
Definition layer (cols : nat) (act : bool) (groups : list (nat * (nat -> neuron))) : linear :=
  Linear (height groups) cols (by_rows (fun r => fst (stack groups r)))
         (fun r => snd (stack groups r)) act.

Definition zero_matrix : matrix := fun _ _ => 0.
Definition identity : matrix := by_rows (fun r => [pick r]).

(** [Q]_[k/V] etc., with [Z] and [positive] inside so that they compute fast. *)
Definition fraction (V k : nat) : Q := Z.of_nat k # Pos.of_nat V.
Definition power (V k : nat) : Q := inject_Z (Z.of_nat V ^ Z.of_nat k).

(** ** Heads

    [x = [embedding half (D) ; position code (N)]].  Queries and keys read the
    position code only; a head is determined by where it looks and what it reads. *)
Definition embedding_half : matrix := by_rows (fun r => [pick r]).
Definition position_half (D : nat) : matrix := by_rows (fun r => [pick (D + r)]).

Definition self_head (D N : nat) (value : matrix) : head :=
  Head N (position_half D) (position_half D) value.
Definition position_head (D N p : nat) (value : matrix) : head :=
  Head 1 (by_rows (fun _ => [total D N])) (by_rows (fun _ => [pick (D + p)])) value.
(** [offset] positions back: queries are the upper half of the position code,
    keys the lower half. *)
Definition back_head (D offset : nat) (value : matrix) : head :=
  Head offset (position_half (D + offset)) (position_half D) value.

(** ** The MLP that reads a token off a vector [e_i + s]

    Subtracting 1 leaves [s_i] in coordinate [i] and nothing elsewhere; the
    readout gives the score [-(x - v/V)^2 + x^2 - x + 1/4] to token [v], so the
    nearest multiple of [1/V] wins. *)
Definition readout (V : nat) : linear :=
  layer 1 false
    [(V, fun v => ([(2 * fraction V v - 1, 0%nat, 1%nat)],
                   (1 # 4) - fraction V v * fraction V v))].
Definition decoder (V D : nat) : list linear :=
  [ layer D true [(D, fun r => ([pick r], -1 # 1))];
    layer D true [(1%nat, fun _ => ([total 0 D], 0))];
    readout V ].

(** ** 1. Unconditional generation (Theorem 1) *)
Definition unconditional_self (N : nat) : head := self_head N N (position_half N).
Definition unconditional_first (N : nat) : head := position_head N N 0 embedding_half.
Definition unconditional_generation (V N : nat) (E : matrix) : transformer :=
  Transformer V N N E identity
    [ Block (N + N) N
        [ unconditional_self N; unconditional_first N ]
        (decoder V N) ].
Definition unconditional_prompt (V : nat) (y : nat -> nat) : prompt :=
  Prompt 1 (fun _ c => fraction V (y c)).

(** ** 2. Conditional generation (Theorem 2) *)
Definition conditional_self (V : nat) : head := self_head V 2 embedding_half.
Definition conditional_first (V : nat) : head := position_head V 2 0 embedding_half.
Definition conditional_generation (V : nat) : transformer :=
  Transformer V 2 V identity identity
    [ Block (V + 2) V
        [ conditional_self V; conditional_first V ]
        (decoder V V) ].
Definition conditional_prompt (V : nat) (m : nat -> nat) : prompt :=
  Prompt 1 (fun _ c => fraction V (m c)).

(** ** 3. Longer responses: one user token, [K] answer tokens, [K] virtual tokens.
    [m g x] is the [g]-th token of the answer to [x]. *)
Definition longer_responses_back (V K : nat) : head := back_head V K embedding_half.
Definition longer_responses_user (V K : nat) : head := position_head V (K + K) K embedding_half.
Definition longer_responses (V K : nat) : transformer :=
  Transformer V (K + K) V identity identity
    [ Block (V + (K + K)) V
        [ longer_responses_back V K; longer_responses_user V K ]
        (decoder V V) ].
Definition longer_responses_prompt (V K : nat) (m : nat -> nat -> nat) : prompt :=
  Prompt K (fun p c => fraction V (m p c)).

(** ** 4. Longer user inputs: [n >= 2] user tokens, one answer token, one virtual
    token, [n] blocks.

    Coordinate [j] of the virtual token packs the answers for all inputs that
    begin with [j], as base-[V] digits.  Block [l] selects with the [l]-th token
    and unpacks the digits of what it selected. *)
Section LongerInputs.
Variables (V n : nat).
Local Notation N := (S n).
Local Notation W := (pred V).                          (* thresholds per digit *)

(** Digits of a packed value in block [l], and [B_l = V^(digits l)]. *)
Definition digits (l : nat) : nat := (V ^ (n - l))%nat.

(** Values in the attention layer of block [l]: into [row | token | position]. *)
Definition carry_values (from_token from_position : nat) : matrix :=
  by_rows (fun r => if (r <? V)%nat then [pick (from_token + r)]
                    else if (r <? V + V)%nat then [pick (from_token + (r - V))]
                    else [pick (from_position + (r - (V + V)))]).
Definition row_values : matrix := by_rows (fun r => if (r <? V)%nat then [pick r] else []).

Definition attention_heads (l : nat) : list head :=
  let D := if (l =? 1)%nat then V else (V + V)%nat in    (* where the position code starts *)
  let token := if (l =? 1)%nat then O else V in
  [ self_head D N (carry_values token D);
    position_head D N (l - 1) row_values ].

(** [select]: keep the coordinate named by the own token (exceeds 1), and restore
    tokens and positions to exact zeros and ones, as [high - low]. *)
Definition select : linear :=
  layer (V + (V + N)) true
    [ (V, fun r => ([pick r], -1 # 1));
      (V, fun r => (scale 2 [pick (V + r)], -1 # 2));
      (V, fun r => (scale 2 [pick (V + r)], -3 # 2));
      (N, fun r => (scale 2 [pick (V + (V + r))], -1 # 2));
      (N, fun r => (scale 2 [pick (V + (V + r))], -3 # 2)) ].

(** [compare]: distances below the [W] thresholds [c * P]; everything else carried. *)
Definition compare (cols : nat) (P : Q) (remainder : list term)
    (k : nat) (digit token position : nat -> list term) : linear :=
  layer cols true
    [ (W, fun c => (scale (-1 # 1) remainder, inject_Z (Z.of_nat (S c)) * P));
      (1%nat, fun _ => (remainder, 0));
      (k, fun j => (digit j, 0));
      (V, fun r => (token r, 0));
      (N, fun r => (position r, 0)) ].
Definition compare_first (D : nat) : linear :=
  compare (V + (V + (V + (N + N)))) (power V (D - 1))
    (scale (power V D) [total 0 V]) 0 (fun _ => [])
    (fun r => [pick (V + r); (-1 # 1, V + (V + r), 1)%nat])
    (fun r => [pick (V + (V + (V + r))); (-1 # 1, V + (V + (V + (N + r))), 1)%nat]).

(** After [step] with [k] digits carried: [upper | lower | remainder | digits |
    token | position]; the newest digit is [sum upper - sum lower]. *)
Definition step (k : nat) : linear :=
  layer (W + (1 + (k + (V + N)))) true
    [ (W, fun c => (scale (-2 # 1) [pick c], 3 # 2));
      (W, fun c => (scale (-2 # 1) [pick c], 1 # 2));
      (1%nat, fun _ => ([pick W], 0));
      (k, fun j => ([pick (W + (1 + j))], 0));
      (V, fun r => ([pick (W + (1 + (k + r)))], 0));
      (N, fun r => ([pick (W + (1 + (k + (V + r))))], 0)) ].
Definition newest_digit : list term := [total 0 W; (-1 # 1, W, W)].
Definition digit (k j : nat) : list term :=
  if (j <? k)%nat then [pick (W + (W + (1 + j)))] else newest_digit.
Definition step_width (k : nat) : nat := (W + (W + (1 + (k + (V + N)))))%nat.
(** From [k] digits carried to [k + 1]: subtract the newest digit, go on. *)
Definition compare_next (D k : nat) : linear :=
  compare (step_width k) (power V (D - (k + 2)))
    (pick (W + W) :: scale (- power V (D - (k + 1))) newest_digit)
    (S k) (digit k)
    (fun r => [pick (W + (W + (1 + (k + r))))])
    (fun r => [pick (W + (W + (1 + (k + (V + r)))))]).

(** [pack]: [D] digits into [V] numbers of [D / V] digits each. *)
Definition pack (D : nat) : linear :=
  let K := (D / V)%nat in
  let k := (D - 1)%nat in
  layer (step_width k) true
    [ (V, fun j => (flat_map (fun t => scale (/ power V (S t)) (digit k (j * K + t))) (seq 0 K), 0));
      (V, fun r => ([pick (W + (W + (1 + (k + r))))], 0));
      (N, fun r => ([pick (W + (W + (1 + (k + (V + r)))))], 0)) ].

Definition unpack (D : nat) : list linear :=
  [select; compare_first D; step 0]
  ++ flat_map (fun k => [compare_next D k; step (S k)]) (seq 0 (D - 1))
  ++ [pack D].

Definition unpacking_block (l : nat) : block :=
  Block (if (l =? 1)%nat then V + N else V + (V + N)) (V + (V + N))
        (attention_heads l) (unpack (digits l)).
Definition answering_block : block :=
  Block (V + (V + N)) V
    [ self_head (V + V) N (by_rows (fun r => [pick (V + r)]));
      position_head (V + V) N (n - 1) embedding_half ]
    (decoder V V).

Definition longer_inputs : transformer :=
  Transformer V N V identity identity
    (map unpacking_block (seq 1 (n - 1)) ++ [answering_block]).
End LongerInputs.

(** The [k]-token word whose lexicographic index is [d]. *)
Fixpoint word (V k d : nat) : list nat :=
  match k with
  | O => []
  | S k => (d / V ^ k)%nat :: word V k (d mod V ^ k)
  end.
(** [f 0, ..., f (D-1)] read as the base-[V] digits of an integer. *)
Fixpoint packed (V D : nat) (f : nat -> nat) : Z :=
  match D with
  | O => 0
  | S k => packed V k f * Z.of_nat V + Z.of_nat (f k)
  end.
Definition longer_inputs_prompt (V n : nat) (m : list nat -> nat) : prompt :=
  let D := (V ^ (n - 1))%nat in
  Prompt 1 (fun _ c => inject_Z (packed V D (fun d => m (c :: word V (n - 1) d))) / power V D).
