(** * The three-layer MLP reads a token off [e_i + s] *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward.
Import ListNotations.
Open Scope R_scope.

(** The readout at the scalar [z]: up to a term without [v], [-(z - v/V)^2]. *)
Definition readout_logit (V : nat) (z : R) (v : nat) : R :=
  (2 * (INR v / INR V) - 1) * z + (1 / 4 - INR v / INR V * (INR v / INR V)).

Lemma decoder_logits V D h i v : (v < V)%nat -> (i < D)%nat ->
  (forall k, (k < D)%nat -> k <> i -> h k <= 1) ->
  mlp real (decoder V D) h v = readout_logit V (Rmax 0 (h i - 1)) v.
Proof.
  intros Hv Hi Hk. unfold decoder, mlp. cbn [fold_left].
  set (z1 := layer_output real (layer D true _) h).
  assert (Z1 : forall r, (r < D)%nat -> z1 r = Rmax 0 (h r - 1)).
  { intros r Hr. unfold z1. rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Hr)) by fit.
    cbn [fst snd].
    rewrite form_pick. f_equal. unfold Q2R; simpl; lra. }
  set (z2 := layer_output real (layer D true _) z1).
  assert (Z2 : z2 0%nat = Rmax 0 (h i - 1)).
  { unfold z2. rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Nat.lt_0_1)) by fit.
    cbn [fst snd].
    rewrite form_total, Q2R_0, Rplus_0_r. rewrite (Rsum_single D i); auto.
    - rewrite Z1 by auto. apply Rmax_right, Rmax_l.
    - intros k Hk' Hne. cbn [Nat.add]. rewrite Z1 by auto.
      apply Rmax_left. specialize (Hk k Hk' Hne). lra. }
  unfold readout. rewrite (layer_linear _ _ _ _ _ (stack_here _ _ _ _ Hv)) by fit.
  cbn [fst snd].
  rewrite form_step, form_nil. cbn [Rsum Nat.add]. rewrite Z2.
  rewrite !Q2R_minus, !Q2R_mult, Q2R_fraction, Q2R_1 by lia. unfold readout_logit.
  replace (Q2R (1 # 4)) with (1 / 4) by (unfold Q2R; simpl; lra).
  replace (Q2R 2) with 2 by (unfold Q2R; simpl; lra). lra.
Qed.

Section Nearest.
Variables (V y : nat) (z : R).
Hypothesis Hy : (y < V)%nat.
Let PV : 0 < INR V. Proof. apply lt_0_INR. lia. Qed.

Lemma readout_difference v :
  readout_logit V z y - readout_logit V z v
  = (2 * INR V * z - (INR y + INR v)) * (INR y - INR v) * / (INR V * INR V).
Proof. unfold readout_logit. field. lra. Qed.

Lemma nearest_decodes : (y = 0%nat \/ 2 * INR y - 1 < 2 * INR V * z) ->
  (S y = V \/ 2 * INR V * z < 2 * INR y + 1) -> decodes V (readout_logit V z) y.
Proof.
  intros L U. split; auto. intros v Hv Hne.
  cut (0 < readout_logit V z y - readout_logit V z v); [lra|].
  rewrite readout_difference. apply Rmult_lt_0_compat.
  2:{ apply Rinv_0_lt_compat. nra. }
  destruct (Nat.lt_ge_cases v y) as [C|C].
  - pose proof (INR_pred_bound v y C). destruct L as [->|L]; [lia|].
    apply Rmult_lt_0_compat; lra.
  - assert (C' : (y < v)%nat) by lia. pose proof (INR_pred_bound y v C').
    destruct U as [U|U]; [lia|].
    replace (_ * _) with ((INR y + INR v - 2 * INR V * z) * (INR v - INR y)) by ring.
    apply Rmult_lt_0_compat; lra.
Qed.
Lemma too_low : (1 <= y)%nat -> 2 * INR V * z <= 2 * INR y - 1 ->
  readout_logit V z y <= readout_logit V z (y - 1).
Proof.
  intros H1 H. cut (0 <= readout_logit V z (y - 1) - readout_logit V z y); [lra|].
  rewrite <- (Ropp_involutive (_ - _)), Ropp_minus_distr, readout_difference.
  rewrite minus_INR by lia. change (INR 1) with 1.
  replace (INR y - (INR y - 1)) with 1 by ring. rewrite Rmult_1_r, Ropp_mult_distr_l.
  apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. nra.
Qed.
Lemma too_high : (S y < V)%nat -> 2 * INR y + 1 <= 2 * INR V * z ->
  readout_logit V z y <= readout_logit V z (S y).
Proof.
  intros H1 H. cut (0 <= readout_logit V z (S y) - readout_logit V z y); [lra|].
  rewrite <- (Ropp_involutive (_ - _)), Ropp_minus_distr, readout_difference.
  rewrite S_INR. replace (INR y - (INR y + 1)) with (- (1)) by ring.
  replace (- _) with ((2 * INR V * z - (INR y + (INR y + 1))) * / (INR V * INR V)) by ring.
  apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. nra.
Qed.
End Nearest.

(** A logit vector that equals the readout on the vocabulary decodes like it. *)
Lemma decodes_ext V f g y : (forall v, (v < V)%nat -> f v = g v) -> decodes V f y -> decodes V g y.
Proof. intros H [Hy D]. split; auto. intros v Hv Hne. rewrite <- !H by auto. auto. Qed.
Lemma argmax_too_low V f z y : (1 <= y)%nat -> (y < V)%nat ->
  (forall v, (v < V)%nat -> f v = readout_logit V z v) ->
  2 * INR V * z <= 2 * INR y - 1 -> argmax real V f <> y.
Proof.
  intros H1 Hy Hf H E. pose proof (too_low V y z Hy H1 H) as L.
  pose proof (argmax_first V f (y - 1)) as F. rewrite E, !Hf in F by lia.
  specialize (F ltac:(lia)). lra.
Qed.
