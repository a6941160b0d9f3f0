(** * The constructions with another encoding of tokens

    [c] is what marks the selected coordinate, [s] are the values in the virtual
    tokens ([0 <= s <= c]), and the readout gives token [v] the score
    [a v * x + b v].  The paper: [c = 1], [s = y/V].  In floating point, integers
    go further: [c = V], [s = y], [a v = 2v], [b v = -v^2]. *)

From Coq Require Import List Arith ZArith QArith.
From PrefixProof Require Import Model Constructions.
Import ListNotations.

Section Encoding.
Variables (c : Q) (a b : nat -> Q).

Definition decoder_with (V D : nat) : list linear :=
  [ layer D true [(D, fun r => ([pick r], - c))];
    layer D true [(1%nat, fun _ => ([total 0 D], 0))];
    layer 1 false [(V, fun v => ([(a v, 0%nat, 1%nat)], b v))] ].

Definition unconditional_with (V N : nat) : transformer :=
  Transformer V N N zero_matrix identity
    [ Block (N + N) N
        [ self_head N N (by_rows (fun r => [(c, (N + r)%nat, 1%nat)])); unconditional_first N ]
        (decoder_with V N) ].
Definition conditional_with (V : nat) : transformer :=
  Transformer V 2 V (by_rows (fun r => [(c, r, 1%nat)])) identity
    [ Block (V + 2) V [ conditional_self V; conditional_first V ] (decoder_with V V) ].
Definition longer_responses_with (V K : nat) : transformer :=
  Transformer V (K + K) V (by_rows (fun r => [(c, r, 1%nat)])) identity
    [ Block (V + (K + K)) V [ longer_responses_back V K; longer_responses_user V K ]
        (decoder_with V V) ].
End Encoding.

(** The paper's encoding is an instance. *)
Definition paper_a (V v : nat) : Q := 2 * fraction V v - 1.
Definition paper_b (V v : nat) : Q := (1 # 4) - fraction V v * fraction V v.
Lemma unconditional_is_paper V N :
  unconditional_generation V N zero_matrix = unconditional_with 1 (paper_a V) (paper_b V) V N.
Proof. reflexivity. Qed.
Lemma conditional_is_paper V :
  conditional_generation V = conditional_with 1 (paper_a V) (paper_b V) V.
Proof. reflexivity. Qed.
Lemma longer_responses_is_paper V K :
  longer_responses V K = longer_responses_with 1 (paper_a V) (paper_b V) V K.
Proof. reflexivity. Qed.

(** Integers. *)
Definition integer (k : nat) : Q := inject_Z (Z.of_nat k).
Definition integer_a (v : nat) : Q := inject_Z (2 * Z.of_nat v).
Definition integer_b (v : nat) : Q := inject_Z (- (Z.of_nat v * Z.of_nat v)).
Definition unconditional_integers (V N : nat) : transformer :=
  unconditional_with (integer V) integer_a integer_b V N.
Definition conditional_integers (V : nat) : transformer :=
  conditional_with (integer V) integer_a integer_b V.
Definition longer_responses_integers (V K : nat) : transformer :=
  longer_responses_with (integer V) integer_a integer_b V K.
Definition unconditional_integer_prompt (y : nat -> nat) : prompt :=
  Prompt 1 (fun _ r => integer (y r)).
Definition conditional_integer_prompt (f : nat -> nat) : prompt :=
  Prompt 1 (fun _ r => integer (f r)).
Definition longer_responses_integer_prompt (K : nat) (f : nat -> nat -> nat) : prompt :=
  Prompt K (fun p r => integer (f p r)).
