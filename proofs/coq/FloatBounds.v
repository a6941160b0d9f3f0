(** * The bound 4097 of binary32 is the true one *)

From Coq Require Import List ZArith QArith.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions Encodings Floats.
Import ListNotations.

(** Token 4097 of a vocabulary of 4098 does not win: [2 * 4097^2] and [4097^2] are
    rounded, and the logit, 16785408, is that of token 4096, which comes first. *)
Lemma binary32_4098 :
  let o := left_to_right 24 128 eq_refl eq_refl in
  let logit := logits o (unconditional_integers 4098 1) (hardmax o) causal
    (unconditional_integer_prompt (fun _ => 4097%nat)) [] 0 in
  leb o (logit 4097%nat) (logit 4096%nat) = true.
Proof. vm_compute. reflexivity. Qed.
