(** * Encodings that a floating-point format represents exactly *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding Encodings
  Exact ExactGeneration Floats.
Import ListNotations.
Open Scope R_scope.

Section Format.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Notation representable := (representable prec emax).

(** Formats with at least 4 bits and a sensible exponent range: binary16, bfloat16,
    binary32, binary64 and all larger ones. *)
Definition usable : Prop := (4 <= prec /\ prec + 2 < emax)%Z.
Hypothesis Hfmt : usable.

Lemma int m : (Z.abs m <= 2 ^ prec)%Z -> representable (IZR m).
Proof. intros H. apply representable_Z; auto. unfold usable in Hfmt. lia. Qed.
Lemma even m : (Z.abs m <= 2 ^ prec)%Z -> representable (IZR (2 * m)).
Proof.
  intros H. unfold usable in Hfmt. rewrite mult_IZR, Rmult_comm. change 2 with (bpow radix2 1).
  apply representable_dyadic; auto; lia.
Qed.
Lemma format_exact o : ieee prec emax Hprec Hmax o ->
  exact_arithmetic o (stands_for prec emax) representable representable.
Proof.
  assert (P : (16 <= 2 ^ prec)%Z).
  { unfold usable in Hfmt. change 16%Z with (2 ^ 4)%Z. apply Z.pow_le_mono_r; lia. }
  apply ieee_exact; [apply (int 0)|apply (int 1)]; lia.
Qed.

(** ** Integers: exact as long as [(V-1)^2] has at most [prec] bits *)
Lemma integer_encoding V : (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  encoding representable representable V (integer V) integer_a integer_b integer.
Proof.
  intros HV.
  assert (P : (16 <= 2 ^ prec)%Z).
  { unfold usable in Hfmt. change 16%Z with (2 ^ 4)%Z. apply Z.pow_le_mono_r; lia. }
  set (M := (2 ^ prec)%Z) in *.
  assert (V2 : (2 * Z.of_nat V - 1 <= M)%Z) by nia.
  unfold integer, integer_a, integer_b.
  constructor; intros; rewrite ?Q2R_inject, <- ?opp_IZR, <- ?plus_IZR, <- ?minus_IZR.
  - split; apply int; fold M; lia.
  - split; [apply even|apply int]; fold M; nia.
  - split; apply IZR_le; lia.
  - split; [|split]; apply int; fold M; lia.
  - rewrite <- mult_IZR, <- plus_IZR. split.
    + replace (2 * Z.of_nat v * Z.of_nat k)%Z with (2 * (Z.of_nat v * Z.of_nat k))%Z by ring.
      apply even. fold M. nia.
    + apply int. fold M. nia.
  - split; auto. intros v Hv Hne. rewrite !Q2R_inject, <- !mult_IZR, <- !plus_IZR.
    apply IZR_lt. nia.
Qed.

(** ** The paper's encoding, for [V] a power of two *)
Lemma power_of_two_encoding k V : (1 <= k)%Z -> (2 * k <= prec)%Z ->
  (2 * k <= emax + prec - 3)%Z -> Z.of_nat V = (2 ^ k)%Z ->
  encoding representable representable V 1 (paper_a V) (paper_b V) (fraction V).
Proof.
  intros Hk Hk2 Hk3 HVk. pose proof Hfmt as [P4 Pe].
  set (VZ := Z.of_nat V) in *. set (H := (2 ^ (k - 1))%Z).
  assert (VH : VZ = (2 * H)%Z).
  { unfold H. rewrite HVk. replace k with (1 + (k - 1))%Z at 1 by lia. rewrite Z.pow_add_r by lia. reflexivity. }
  assert (H0 : (1 <= H)%Z) by (unfold H; apply (Z.pow_le_mono_r 2 0); lia).
  assert (VV : (VZ * VZ <= 2 ^ prec)%Z).
  { rewrite HVk, <- Z.pow_add_r by lia. apply Z.pow_le_mono_r; lia. }
  set (M := (2 ^ prec)%Z) in *.
  assert (V1 : (1 <= V)%nat) by (unfold VZ in *; lia).
  assert (VB : INR V = bpow radix2 k).
  { rewrite INR_IZR_INZ. fold VZ. rewrite HVk. apply (IZR_Zpower radix2). lia. }
  assert (VI : IZR VZ = bpow radix2 k) by (unfold VZ; now rewrite <- INR_IZR_INZ).
  assert (B0 : bpow radix2 k <> 0) by (apply Rgt_not_eq, bpow_gt_0).
  assert (D1 : forall z, (Z.abs z <= M)%Z -> representable (IZR z / bpow radix2 k)).
  { intros z Hz. unfold Rdiv. rewrite <- bpow_opp. apply representable_dyadic; auto; lia. }
  assert (D2 : forall z, (Z.abs z <= M)%Z -> representable (IZR z / (bpow radix2 k * bpow radix2 k))).
  { intros z Hz. rewrite <- bpow_plus. unfold Rdiv. rewrite <- bpow_opp. apply representable_dyadic; auto; lia. }
  assert (QE : forall j, Q2R (fraction V j) = IZR (Z.of_nat j) / bpow radix2 k).
  { intros j. rewrite Q2R_fraction by auto. now rewrite VB, INR_IZR_INZ. }
  assert (QA : forall v, Q2R (paper_a V v) = IZR (2 * Z.of_nat v - VZ) / bpow radix2 k).
  { intros v. unfold paper_a. rewrite Q2R_minus, Q2R_mult, QE, Q2R_1.
    replace (Q2R 2) with 2 by (unfold Q2R; simpl; lra).
    rewrite minus_IZR, mult_IZR, VI. field; auto. }
  assert (QB : forall v, Q2R (paper_b V v) = IZR (H * H - Z.of_nat v * Z.of_nat v) / (bpow radix2 k * bpow radix2 k)).
  { intros v. unfold paper_b. rewrite Q2R_minus, Q2R_mult, QE.
    replace (Q2R (1 # 4)) with (1/4) by (unfold Q2R; simpl; lra).
    assert (E : bpow radix2 k = 2 * IZR H) by (rewrite <- VI, VH, mult_IZR; reflexivity).
    rewrite minus_IZR, !mult_IZR. rewrite E in *. field. intros Z; apply B0; rewrite Z; lra. }
  constructor; intros; rewrite ?QE, ?QA, ?QB, ?Q2R_1.
  - split; [apply (int 1)|apply (int (-1))]; fold M; lia.
  - split; [apply D1|apply D2]; unfold VZ in *; nia.
  - rewrite <- VI. assert (0 < IZR VZ) by (rewrite VI; apply bpow_gt_0).
    assert (IZR (Z.of_nat k0) <= IZR VZ) by (apply IZR_le; unfold VZ; lia).
    assert (0 <= IZR (Z.of_nat k0)) by (apply (IZR_le 0); lia). split.
    + apply Rmult_le_pos; auto. left. now apply Rinv_0_lt_compat.
    + apply Rmult_le_reg_r with (IZR VZ); auto.
      replace (IZR (Z.of_nat k0) / IZR VZ * IZR VZ) with (IZR (Z.of_nat k0)) by (field; lra). lra.
  - split; [|split].
    + apply D1. unfold VZ in *; nia.
    + replace (1 + IZR (Z.of_nat k0) / bpow radix2 k) with (IZR (VZ + Z.of_nat k0) / bpow radix2 k)
        by (rewrite plus_IZR, VI; field; auto). apply D1. unfold VZ in *; nia.
    + replace (IZR (Z.of_nat k0) / bpow radix2 k - 1) with (IZR (Z.of_nat k0 - VZ) / bpow radix2 k)
        by (rewrite minus_IZR, VI; field; auto). apply D1. unfold VZ in *; nia.
  - split.
    + replace (IZR (2 * Z.of_nat v - VZ) / bpow radix2 k * (IZR (Z.of_nat k0) / bpow radix2 k))
        with (IZR ((2 * Z.of_nat v - VZ) * Z.of_nat k0) / (bpow radix2 k * bpow radix2 k))
        by (rewrite mult_IZR; field; auto).
      apply D2. unfold VZ in *. nia.
    + replace (IZR (2 * Z.of_nat v - VZ) / bpow radix2 k * (IZR (Z.of_nat k0) / bpow radix2 k)
               + IZR (H * H - Z.of_nat v * Z.of_nat v) / (bpow radix2 k * bpow radix2 k))
        with (IZR ((2 * Z.of_nat v - VZ) * Z.of_nat k0 + (H * H - Z.of_nat v * Z.of_nat v)) / (bpow radix2 k * bpow radix2 k))
        by (rewrite plus_IZR, mult_IZR; field; auto).
      apply D2.
      replace ((2 * Z.of_nat v - VZ) * Z.of_nat k0 + (H * H - Z.of_nat v * Z.of_nat v))%Z
        with ((H - Z.of_nat k0) * (H - Z.of_nat k0) - (Z.of_nat v - Z.of_nat k0) * (Z.of_nat v - Z.of_nat k0))%Z
        by (rewrite VH; ring). unfold VZ in *. nia.
  - apply (decodes_ext V (readout_logit V (INR k0 / INR V))).
    + intros v Hv. rewrite QA, QB, <- QA, <- QB, VB, (INR_IZR_INZ k0), <- VB.
      unfold readout_logit, paper_a, paper_b. rewrite !Q2R_minus, !Q2R_mult, !Q2R_fraction, Q2R_1 by auto.
      replace (Q2R 2) with 2 by (unfold Q2R; simpl; lra).
      replace (Q2R (1 # 4)) with (1/4) by (unfold Q2R; simpl; lra). reflexivity.
    + assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
      apply nearest_decodes; auto; right;
       replace (2 * INR V * (INR k0 / INR V)) with (2 * INR k0) by (field; lra); lra.
Qed.
End Format.
