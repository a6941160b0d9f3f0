(** * Floating-point softmax that is exactly one-hot

    The largest score is subtracted before [exp].  If the format's [exp] gives 1 at
    0 and 0 at [-T] (it underflows), then on scores 0 and 1 the weights are exactly
    one-hot, and softmax does what hardmax does. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Exact Floats.
Import ListNotations.
Open Scope R_scope.

Section Softmax.
Context {A : Type} (o : arithmetic A).
Fixpoint visible_max (n : nat) (vis : nat -> bool) (z : nat -> A) : option A :=
  match n with
  | O => None
  | S k => match visible_max k vis z with
           | None => if vis k then Some (z k) else None
           | Some b => if vis k && negb (leb o (z k) b) then Some (z k) else Some b
           end
  end.
Definition rounded_softmax (exp_ : A -> A) (T : head -> A) : normaliser A := fun h n vis s =>
  let z := fun j => mul o (T h) (s j) in
  match visible_max n vis z with
  | None => fun _ => zero o
  | Some top => normalise o n vis
      (fun j => exp_ (add o (z j) (mul o (of_Q o (-1)) top)))
  end.
End Softmax.

Section OneHot.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Notation float := (binary_float prec emax).
Notation rep := (stands_for prec emax).
Notation F := (representable prec emax).
Variable o : arithmetic float.
Hypothesis Ho : ieee prec emax Hprec Hmax o.
Hypothesis X : exact_arithmetic o rep F F.
Variables (exp_ : float -> float) (T : head -> float).
Hypothesis HT : forall h, is_finite (T h) = true /\ 0 < B2R (T h).
Hypothesis exp_0 : forall x, rep x 0 -> rep (exp_ x) 1.
Hypothesis exp_T : forall h x, rep x (- B2R (T h)) -> rep (exp_ x) 0.

Section Head.
Variable h : head.
Let t := B2R (T h).
Let HTh : rep (T h) t. Proof. split; [apply HT|reflexivity]. Qed.
Let t0 : 0 < t. Proof. apply HT. Qed.
Let Ft : F t. Proof. split; [apply generic_format_B2R|apply abs_B2R_lt_emax]. Qed.
Let Fmt : F (- t). Proof. destruct Ft. split; [now apply generic_format_opp|now rewrite Rabs_Ropp]. Qed.
Let F0 : F 0. Proof. apply X. Qed.
Let F1 : F 1. Proof. apply X. Qed.

Lemma visible_max_spec n vis z a : (forall k, (k < n)%nat -> rep (z k) (t * kron k a)) -> vis a = true ->
  if (a <? n)%nat then exists b, visible_max o n vis z = Some b /\ rep b t
  else visible_max o n vis z = None \/ exists b, visible_max o n vis z = Some b /\ rep b 0.
Proof.
  induction n; intros Hz Ha; [simpl; auto|].
  specialize (IHn ltac:(intros; apply Hz; lia) Ha). pose proof (Hz n ltac:(lia)) as Zn.
  destruct (Nat.ltb_spec a (S n)) as [L|L]; destruct (Nat.ltb_spec a n) as [L'|L']; try lia; simpl.
  - destruct IHn as (b & -> & Hb). rewrite kron_diff, Rmult_0_r in Zn by lia.
    rewrite (proj2 (exact_leb _ _ _ _ X _ _ _ _ Zn Hb)) by lra. rewrite andb_false_r. eauto.
  - replace n with a in * by lia. rewrite kron_same, Rmult_1_r in Zn.
    destruct IHn as [->|(b & -> & Hb)]; rewrite Ha; [eauto|].
    destruct (leb o (z a) b) eqn:E; simpl; [|eauto].
    apply (exact_leb _ _ _ _ X _ _ _ _ Zn Hb) in E. lra.
  - rewrite kron_diff, Rmult_0_r in Zn by lia. destruct IHn as [->|(b & -> & Hb)].
    + destruct (vis n); eauto.
    + destruct (vis n && _); eauto.
Qed.

Lemma one_hot_row n vis s a j : (a < n)%nat -> vis a = true ->
  (forall k, (k < n)%nat -> rep (s k) (kron k a)) -> (j < n)%nat ->
  rep (rounded_softmax o exp_ T h n vis s j) (kron j a).
Proof.
  intros Ha Va Hs Hj. unfold rounded_softmax.
  assert (Hz : forall k, (k < n)%nat -> rep (mul o (T h) (s k)) (t * kron k a)).
  { intros k Hk. rewrite (ieee_mul _ _ _ _ _ Ho). apply mult_exact; auto.
    unfold kron. destruct (k =? a)%nat; rewrite ?Rmult_1_r, ?Rmult_0_r; auto. }
  pose proof (visible_max_spec n vis (fun j => mul o (T h) (s j)) a Hz Va) as M.
  rewrite (proj2 (Nat.ltb_lt _ _) Ha) in M. destruct M as (b & -> & Hb).
  assert (Q : Q2R (-1) = -1) by (unfold Q2R; simpl; lra).
  assert (Hm : rep (mul o (of_Q o (-1)) b) (- t)).
  { replace (- t) with (Q2R (-1) * t) by (rewrite Q; ring). rewrite (ieee_mul _ _ _ _ _ Ho).
    apply mult_exact; auto.
    - apply X. rewrite Q. replace (-1) with (- (1)) by ring. destruct F1.
      split; [now apply generic_format_opp|now rewrite Rabs_Ropp].
    - rewrite Q. now replace (-1 * t) with (- t) by ring. }
  assert (HE : forall k, (k < n)%nat ->
    rep (exp_ (add o (mul o (T h) (s k)) (mul o (of_Q o (-1)) b))) (kron k a)).
  { intros k Hk. specialize (Hz k Hk). rewrite (ieee_add _ _ _ _ _ Ho). unfold kron in *.
    destruct (k =? a)%nat.
    - apply exp_0. replace 0 with (t * 1 + - t) by ring. apply plus_exact; auto.
      now replace (t * 1 + - t) with 0 by ring.
    - apply (exp_T h). fold t. replace (- t) with (t * 0 + - t) by ring. apply plus_exact; auto.
      now replace (t * 0 + - t) with (- t) by ring. }
  unfold normalise. destruct (vis j) eqn:Vj.
  - apply X; [now apply HE| |unfold kron; destruct (j =? a)%nat; auto].
    apply (exact_sum_one _ _ _ _ X) with (a := a); auto.
    + rewrite Va. specialize (HE a Ha). now rewrite kron_same in HE.
    + intros k Hk Hne. destruct (vis k); [|apply (rep_zero o rep F F X)].
      specialize (HE k Hk). now rewrite kron_diff in HE.
  - rewrite kron_diff by congruence. apply (rep_zero o rep F F X).
Qed.
End Head.

Theorem rounded_softmax_one_hot : one_hot_normaliser rep (rounded_softmax o exp_ T).
Proof. intros h n vis s a Ha Va Hs j Hj. now apply one_hot_row. Qed.
End OneHot.

(** ** binary32: a correctly rounded [exp] underflows from 105 on *)
Lemma exp_pow x n : exp x ^ n = exp (INR n * x).
Proof.
  induction n; [simpl; rewrite Rmult_0_l, exp_0; reflexivity|].
  rewrite S_INR, Rmult_plus_distr_r, exp_plus, <- IHn, Rmult_1_l. simpl. ring.
Qed.
(** [e^105 > 2^150], from [1 + x <= e^x] alone (the [interval] tactic would do
    better, at the price of dozens of axioms about machine integers). *)
Lemma e_lower : 2697 <= exp 1 * 1000.
Proof.
  assert (B : 65/64 <= exp (1/64)).
  { left. replace (65/64) with (1 + 1/64) by field. apply exp_ineq1. lra. }
  assert (P : (65/64) ^ 64 <= exp 1).
  { replace (exp 1) with (exp (1/64) ^ 64) by (rewrite exp_pow; f_equal; simpl; field).
    apply pow_incr. lra. }
  assert (C : 2697 <= (65/64) ^ 64 * 1000) by (simpl; lra). lra.
Qed.
Lemma exp_105 : exp (-105) < bpow radix2 (-150).
Proof.
  assert (H : bpow radix2 150 < exp 105).
  { apply Rmult_lt_reg_r with (1000 ^ 105); [apply pow_lt; lra|].
    apply Rlt_le_trans with (2697 ^ 105).
    - change (bpow radix2 150) with (IZR (2 ^ 150)). rewrite !pow_IZR, <- mult_IZR.
      apply IZR_lt. vm_compute. reflexivity.
    - replace (exp 105) with (exp 1 ^ 105) by (rewrite exp_pow; f_equal; rewrite INR_IZR_INZ; simpl; ring).
      rewrite <- Rpow_mult_distr. apply pow_incr. split; [lra|apply e_lower]. }
  change (-150)%Z with (- (150))%Z. rewrite bpow_opp. replace (-105) with (- (105)) by lra.
  rewrite exp_Ropp. apply Rinv_lt_contravar; auto.
  apply Rmult_lt_0_compat; [apply bpow_gt_0|apply exp_pos].
Qed.
Lemma exp_underflow t : 105 <= t ->
  round radix2 (SpecFloat.fexp 24 128) ZnearestE (exp (- t)) = 0.
Proof.
  intros Ht. change (SpecFloat.fexp 24 128) with (FLT_exp (-149) 24). assert (P := exp_pos (- t)).
  assert (B : exp (- t) < bpow radix2 (-150)).
  { eapply Rle_lt_trans; [|apply exp_105]. destruct (Req_dec t 105) as [->|]; [right; f_equal; lra|].
    left. apply exp_increasing. lra. }
  assert (M : (mag radix2 (exp (- t)) <= -150)%Z).
  { apply mag_le_bpow; [lra|]. now rewrite Rabs_pos_eq by lra. }
  apply round_N_small_pos with (ex := mag radix2 (exp (- t))).
  - pose proof (bpow_mag_le radix2 (exp (- t)) ltac:(lra)) as A1.
    pose proof (bpow_mag_gt radix2 (exp (- t))) as A2.
    rewrite Rabs_pos_eq in A1, A2 by lra. now split.
  - unfold FLT_exp. lia.
Qed.
