(** * Blocks on the bits of binary32 numbers, and as text *)

From Coq Require Import List ZArith String.
From Flocq Require Import Core.
From PrefixProof Require Import MatrixUnits MatrixUnitSums Golden.
Import ListNotations.
Open Scope Z_scope.

(** Finite numbers alone.  What a format of factors holds is a binary32 number too. *)
Definition number_of_bits (bits : Z) : number :=
  let field := bits / 2 ^ 23 mod 2 ^ 8 in
  let m := bits mod 2 ^ 23 + (if field =? 0 then 0 else 2 ^ 23) in
  Float radix2 (if 2 ^ 31 <=? bits then - m else m) (Z.max field 1 - 150).
(** Of what a block returns; an infinity beyond the largest number. *)
Definition bits_of_number (x : number) : Z :=
  let m := Z.abs (Fnum x) in
  let bits := if m <? 2 ^ 23 then m else (Fexp x + 149) * 2 ^ 23 + m in
  Z.min bits (255 * 2 ^ 23) + (if Fnum x <? 0 then 2 ^ 31 else 0).
Definition dot_bits (u : matrix_unit) (least : Z) (factors : list Z * list Z) (c : Z) : Z :=
  bits_of_number (dot u least (combine (map number_of_bits (fst factors)) (map number_of_bits (snd factors)))
    (number_of_bits c)).

(** The least exponents of the formats of factors. *)
Definition least_fp16 : Z := -14.
Definition least_bf16 : Z := -126.
Definition least_tf32 : Z := -126.
Lemma least_exponents : least_fp16 = least_of 16 /\ least_bf16 = least_of 128 /\ least_tf32 = least_of 128.
Proof. now repeat split. Qed.

(** A sum: [c], what a GPU returned, the factors. *)
Definition recorded_sum : Type := Z * Z * (list Z * list Z).
Definition agrees (u : matrix_unit) (least : Z) (s : recorded_sum) : bool :=
  let '(c, d, factors) := s in dot_bits u least factors c =? d.

(** A sum to compute, and the text: [c], the result, the first factors, the second ones. *)
Definition sum_text (u : matrix_unit) (least : Z) (s : Z * (list Z * list Z)) : string :=
  let '(c, factors) := s in
  line (map show_Z (c :: dot_bits u least factors c :: fst factors ++ snd factors)).
Definition sums_text (generation format : string) (u : matrix_unit) (least : Z)
    (sums : list (Z * (list Z * list Z))) : string :=
  (line ["unit"; generation; format] ++ unlines (map (sum_text u least) sums))%string.
