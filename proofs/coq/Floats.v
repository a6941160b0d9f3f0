(** * IEEE floating-point numbers as an exact number type

    Any binary format [prec], [emax] with round to nearest even (Flocq).  Sums and
    dot products may be evaluated in ANY order and grouping, from any number of
    starting zeros, with or without fused multiply-add: [any_order]. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz Permutation.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Exact.
Import ListNotations.
Open Scope R_scope.

Section Format.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Notation float := (binary_float prec emax).
Notation fexp := (SpecFloat.fexp prec emax).
Local Instance valid_fexp : Valid_exp fexp := BinarySingleNaN.fexp_correct prec emax Hprec.

Definition float_of_Z (z : Z) : float := binary_normalize prec emax Hprec Hmax mode_NE z 0 false.
Definition float_zero : float := float_of_Z 0.

(** ** Sums in any order *)
Inductive addend := Value (a : float) | Product (a b : float).
Definition evaluate (t : addend) : float :=
  match t with Value a => a | Product a b => Bmult mode_NE a b end.
Inductive accumulated (terms : nat -> addend) : list nat -> float -> Prop :=
| from_nothing : accumulated terms [] float_zero
| from_one k : accumulated terms [k] (evaluate (terms k))
| by_addition l1 l2 a b : accumulated terms l1 a -> accumulated terms l2 b ->
    accumulated terms (l1 ++ l2) (Bplus mode_NE a b)
| by_fma k l a b s : terms k = Product a b -> accumulated terms l s ->
    accumulated terms (k :: l) (Bfma mode_NE a b s).
Definition any_order (n : nat) (terms : nat -> addend) (s : float) : Prop :=
  exists l, Permutation l (seq 0 n) /\ accumulated terms l s.

(** [finite x] of value [r]; representable reals. *)
Definition stands_for (x : float) (r : R) : Prop := is_finite x = true /\ B2R x = r.
Definition representable (r : R) : Prop := generic_format radix2 fexp r /\ Rabs r < bpow radix2 emax.

(** What is asked of an implementation. *)
Record ieee (o : arithmetic float) : Prop := {
  ieee_of_Q : forall q, representable (Q2R q) -> stands_for (of_Q o q) (Q2R q);
  ieee_add : add o = Bplus mode_NE;
  ieee_mul : mul o = Bmult mode_NE;
  ieee_div : div o = Bdiv mode_NE;
  ieee_relu : forall x, relu o x = if Bleb x float_zero then float_zero else x;
  ieee_leb : leb o = Bleb;
  ieee_sum : forall n f, any_order n (fun k => Value (f k)) (sum o n f);
  ieee_affine : forall n x y b, any_order (S n)
    (fun k => match k with O => Value b | S k => Product (x k) (y k) end) (affine o n x y b) }.

(** ** Exactness of single operations *)
Lemma round_representable r : representable r ->
  round radix2 fexp (round_mode mode_NE) r = r /\
  Rlt_bool (Rabs (round radix2 fexp (round_mode mode_NE) r)) (bpow radix2 emax) = true.
Proof.
  intros [G B].
  assert (E : round radix2 fexp (round_mode mode_NE) r = r)
    by (apply round_generic; auto with typeclass_instances).
  split; auto. rewrite E. now apply Rlt_bool_true.
Qed.
Lemma plus_exact x y a b : stands_for x a -> stands_for y b -> representable (a + b) ->
  stands_for (Bplus mode_NE x y) (a + b).
Proof.
  intros [X1 X2] [Y1 Y2] F. pose proof (Bplus_correct prec emax Hprec Hmax mode_NE x y X1 Y1) as H.
  rewrite X2, Y2 in H. destruct (round_representable _ F) as [E B]. rewrite B, E in H.
  destruct H as (H1 & H2 & _). now split.
Qed.
Lemma mult_exact x y a b : stands_for x a -> stands_for y b -> representable (a * b) ->
  stands_for (Bmult mode_NE x y) (a * b).
Proof.
  intros [X1 X2] [Y1 Y2] F. pose proof (Bmult_correct prec emax Hprec Hmax mode_NE x y) as H.
  rewrite X2, Y2 in H. destruct (round_representable _ F) as [E B]. rewrite B, E in H.
  destruct H as (H1 & H2 & _). split; [|exact H1]. now rewrite H2, X1, Y1.
Qed.
Lemma fma_exact x y z a b c : stands_for x a -> stands_for y b -> stands_for z c ->
  representable (a * b + c) -> stands_for (Bfma mode_NE x y z) (a * b + c).
Proof.
  intros [X1 X2] [Y1 Y2] [Z1 Z2] F.
  pose proof (Bfma_correct prec emax Hprec Hmax mode_NE x y z X1 Y1 Z1) as H. cbv zeta in H.
  rewrite X2, Y2, Z2 in H. destruct (round_representable _ F) as [E B]. rewrite B, E in H.
  destruct H as (H1 & H2 & _). now split.
Qed.
Lemma normalize_exact z e : representable (IZR z * bpow radix2 e) ->
  stands_for (binary_normalize prec emax Hprec Hmax mode_NE z e false) (IZR z * bpow radix2 e).
Proof.
  intros F. pose proof (binary_normalize_correct prec emax Hprec Hmax mode_NE z e false) as H.
  cbv zeta in H. change (F2R {| Fnum := z; Fexp := e |}) with (IZR z * bpow radix2 e) in H.
  destruct (round_representable _ F) as [E B]. rewrite B, E in H. split; apply H.
Qed.
Lemma of_Z_exact z : representable (IZR z) -> stands_for (float_of_Z z) (IZR z).
Proof.
  intros F. replace (IZR z) with (IZR z * bpow radix2 0) by (simpl; lra).
  apply normalize_exact. simpl. now rewrite Rmult_1_r.
Qed.

(** ** Sums with at most two terms that are not zero *)
Section Support.
Variable val : nat -> R.
Definition list_sum (l : list nat) : R := fold_right (fun k acc => val k + acc) 0 l.
Lemma list_sum_app l1 l2 : list_sum (l1 ++ l2) = list_sum l1 + list_sum l2.
Proof.
  induction l1 as [|k l1 IH]; cbn [app]; [cbn; lra|].
  cbn [list_sum fold_right] in *. fold (list_sum l1) (list_sum (l1 ++ l2)). rewrite IH. lra.
Qed.
Definition has (p : nat) (l : list nat) : R := if in_dec Nat.eq_dec p l then 1 else 0.
Lemma has_cons p k l : ~ In k l -> has p (k :: l) = kron p k + has p l.
Proof.
  intros Hk. unfold has. destruct (in_dec _ p (k :: l)) as [I|I]; destruct (in_dec _ p l) as [J|J].
  - rewrite kron_diff; [lra|congruence].
  - destruct I as [->|I]; [rewrite kron_same; lra|contradiction].
  - exfalso. apply I. now right.
  - rewrite kron_diff; [lra|]. intros ->. apply I. now left.
Qed.
Lemma list_sum_support p q l : p <> q -> (forall k, k <> p -> k <> q -> val k = 0) -> NoDup l ->
  list_sum l = has p l * val p + has q l * val q.
Proof.
  intros Hpq Hz. induction 1 as [|k l Hk _ IH]; [unfold has; cbn; lra|].
  cbn [list_sum fold_right]. fold (list_sum l). rewrite IH, !has_cons by auto.
  destruct (Nat.eq_dec k p) as [->|Np]; [rewrite kron_same, (kron_diff q p) by auto; lra|].
  destruct (Nat.eq_dec k q) as [->|Nq]; [rewrite kron_same, (kron_diff p q) by auto; lra|].
  rewrite Hz, !kron_diff by auto. lra.
Qed.
End Support.

Definition term_stands_for (t : addend) (z : R) : Prop :=
  match t with
  | Value a => stands_for a z
  | Product a b => exists u v, stands_for a u /\ stands_for b v /\ u * v = z
  end.

Lemma NoDup_parts (l1 l2 : list nat) : NoDup (l1 ++ l2) -> NoDup l1 /\ NoDup l2.
Proof.
  induction l1 as [|k l1 IH]; intros H; [now split; [constructor|]|].
  cbn [app] in H. inversion H as [|? ? Hk Hl]; subst. destruct (IH Hl) as [H1 H2]. split; auto.
  constructor; auto. intros I. apply Hk, in_app_iff. now left.
Qed.
Lemma accumulated_exact terms val l s : representable 0 -> accumulated terms l s -> NoDup l ->
  (forall k, In k l -> term_stands_for (terms k) (val k)) ->
  (forall l', NoDup l' -> incl l' l -> representable (list_sum val l')) ->
  stands_for s (list_sum val l).
Proof.
  intros F0. induction 1 as [|k|l1 l2 a b _ IH1 _ IH2|k l a b s E _ IH]; intros ND HT HF.
  - now apply of_Z_exact.
  - specialize (HT k (or_introl eq_refl)).
    assert (F : representable (val k)).
    { replace (val k) with (list_sum val [k]) by (cbn; lra). apply HF; auto. now apply incl_refl. }
    cbn. rewrite Rplus_0_r. destruct (terms k) as [a|a b]; cbn in *; auto.
    destruct HT as (u & v & Ha & Hb & E). rewrite <- E in *. now apply mult_exact.
  - rewrite list_sum_app. apply plus_exact.
    + apply IH1; [now apply NoDup_parts in ND| |].
      * intros k Hk. apply HT, in_app_iff. now left.
      * intros l' N' I'. apply HF; auto. intros k Hk. apply in_app_iff. left. auto.
    + apply IH2; [now apply NoDup_parts in ND| |].
      * intros k Hk. apply HT, in_app_iff. now right.
      * intros l' N' I'. apply HF; auto. intros k Hk. apply in_app_iff. right. auto.
    + rewrite <- list_sum_app. apply HF; auto. now apply incl_refl.
  - cbn [list_sum fold_right]. fold (list_sum val l).
    pose proof (HT k (or_introl eq_refl)) as Hk. rewrite E in Hk. destruct Hk as (u & v & Ha & Hb & Ek).
    inversion ND as [|? ? Nk Nl]; subst. rewrite <- Ek. apply fma_exact; auto.
    + apply IH; auto.
      * intros j Hj. apply HT. now right.
      * intros l' N' I'. apply HF; auto. intros j Hj. right. auto.
    + rewrite Ek. apply (HF (k :: l)); auto. now apply incl_refl.
Qed.

Lemma any_order_two terms val n s p q : p <> q -> (p < n)%nat -> (q < n)%nat \/ val q = 0 ->
  any_order n terms s -> (forall k, (k < n)%nat -> term_stands_for (terms k) (val k)) ->
  (forall k, k <> p -> k <> q -> val k = 0) ->
  representable 0 -> representable (val p) -> representable (val q) -> representable (val p + val q) ->
  stands_for s (val p + val q).
Proof.
  intros Hpq Hp Hq (l & Pl & Al) HT Hz F0 Fp Fq Fpq.
  assert (ND : NoDup l) by (apply (Permutation_NoDup (Permutation_sym Pl)), seq_NoDup).
  assert (Il : forall k, In k l <-> (k < n)%nat).
  { intros k. split; intros H.
    - apply (Permutation_in k Pl) in H. apply in_seq in H. lia.
    - apply (Permutation_in k (Permutation_sym Pl)), in_seq. lia. }
  replace (val p + val q) with (list_sum val l).
  - apply accumulated_exact with (terms := terms); auto.
    + intros k Hk. apply HT, Il, Hk.
    + intros l' N' _. rewrite (list_sum_support val p q) by auto. unfold has.
      destruct (in_dec _ p l'), (in_dec _ q l'); rewrite ?Rmult_1_l, ?Rmult_0_l, ?Rplus_0_l, ?Rplus_0_r; auto.
  - rewrite (list_sum_support val p q) by auto. unfold has.
    destruct (in_dec _ p l) as [_|N1]; [|exfalso; apply N1, Il, Hp].
    destruct (in_dec _ q l) as [_|N2]; [lra|]. destruct Hq as [Hq| ->]; [|lra].
    exfalso. apply N2, Il, Hq.
Qed.

Theorem ieee_exact o : representable 0 -> representable 1 -> ieee o ->
  exact_arithmetic o stands_for representable representable.
Proof.
  intros F0 F1 H. constructor; auto.
  - exact (ieee_of_Q o H).
  - intros n f a z Ha Hz Fz Hk.
    set (val := fun k => if (k =? a)%nat then z else 0).
    assert (Va : val a = z) by (unfold val; now rewrite Nat.eqb_refl).
    assert (V0 : forall k, k <> a -> val k = 0).
    { intros k Hne. unfold val. now rewrite (proj2 (Nat.eqb_neq k a) Hne). }
    assert (Vq : val (S a) = 0) by (apply V0; lia).
    replace z with (val a + val (S a)) by (rewrite Va, Vq; lra).
    apply any_order_two with (terms := fun k => Value (f k)) (n := n); auto.
    + apply ieee_sum, H.
    + intros k Hlt. cbn. destruct (Nat.eq_dec k a) as [->|Hne]; [now rewrite Va|].
      rewrite V0 by auto. auto.
    + now rewrite Va.
    + now rewrite Vq.
    + rewrite Va, Vq, Rplus_0_r. auto.
  - intros f z0 z1 H0 H1 Z0 Z1 Z01.
    set (val := fun k => match k with O => z0 | S O => z1 | _ => 0 end).
    change (stands_for (sum o 2 f) (val 0%nat + val 1%nat)).
    apply any_order_two with (terms := fun k => Value (f k)) (n := 2%nat); auto.
    + apply ieee_sum, H.
    + intros [|[|k]] Hk; cbn; auto. lia.
    + intros [|[|k]] N0 N1; auto; lia.
  - intros n x y b u v c a Ha Hx Hy _ Hb Hz Fm Fc Fs.
    set (val := fun k => match k with O => c | S k => if (k =? a)%nat then u a * v a else 0 end).
    assert (Va : val (S a) = u a * v a) by (unfold val; now rewrite Nat.eqb_refl).
    change (u a * v a + c) with (u a * v a + val 0%nat). rewrite <- Va.
    apply any_order_two with (n := S n)
      (terms := fun k => match k with O => Value b | S k => Product (x k) (y k) end); auto; try lia.
    + apply ieee_affine, H.
    + intros [|k] Hk; cbn; auto. exists (u k), (v k).
      split; [apply Hx; lia|split; [apply Hy; lia|]].
      destruct (Nat.eqb_spec k a) as [->|Hne]; auto. apply Hz; auto. lia.
    + intros [|k] N1 N2; [lia|]. cbn. now rewrite (proj2 (Nat.eqb_neq k a)) by lia.
    + now rewrite Va.
    + rewrite Va. exact Fs.
  - intros x y a [X1 X2] [Y1 Y2] F. rewrite (ieee_div o H).
    assert (NZ : B2R y <> 0) by (rewrite Y2; lra).
    pose proof (Bdiv_correct prec emax Hprec Hmax mode_NE x y NZ) as D.
    rewrite X2, Y2 in D. replace (a / 1) with a in D by field.
    destruct (round_representable _ F) as [E B]. rewrite B, E in D.
    destruct D as (D1 & D2 & _). split; [|exact D1]. now rewrite D2.
  - intros x a [X1 X2]. destruct (of_Z_exact 0 F0) as [Z1 Z2]. fold float_zero in Z1, Z2.
    rewrite (ieee_relu o H), Bleb_correct by auto. rewrite X2, Z2.
    destruct (Rle_bool_spec a 0); [rewrite Rmax_left by lra|rewrite Rmax_right by lra]; now split.
  - intros x y a b [X1 X2] [Y1 Y2]. rewrite (ieee_leb o H), Bleb_correct by auto. rewrite X2, Y2.
    destruct (Rle_bool_spec a b); split; intros; auto; try lra; try discriminate.
Qed.

(** ** Which reals are representable *)
Lemma representable_dyadic m e : (Z.abs m <= 2 ^ prec)%Z -> (3 - emax - prec <= e)%Z ->
  (prec + e < emax)%Z -> representable (IZR m * bpow radix2 e).
Proof.
  intros Hm He1 He2. pose proof Hprec as Hp. unfold Prec_gt_0 in Hp.
  pose proof Hmax as HM. unfold Prec_lt_emax in HM.
  assert (P : bpow radix2 prec = IZR (2 ^ prec)) by (rewrite <- (IZR_Zpower radix2) by lia; reflexivity).
  split.
  - destruct (Z.eq_dec (Z.abs m) (2 ^ prec)) as [E|NE].
    + assert (G : generic_format radix2 fexp (bpow radix2 (prec + e))).
      { apply generic_format_bpow. unfold SpecFloat.fexp, SpecFloat.emin. lia. }
      destruct (Z.abs_spec m) as [[_ A]|[_ A]].
      * replace m with (2 ^ prec)%Z by lia. now rewrite <- P, <- bpow_plus.
      * replace m with (- 2 ^ prec)%Z by lia.
        rewrite opp_IZR, <- P, Ropp_mult_distr_l_reverse, <- bpow_plus. now apply generic_format_opp.
    + change fexp with (FLT_exp (3 - emax - prec) prec).
      apply generic_format_FLT. exists (Float radix2 m e); [reflexivity|cbn [Fnum]|exact He1].
      change (Z.abs m < 2 ^ prec)%Z. lia.
  - rewrite Rabs_mult, (Rabs_pos_eq (bpow _ _)) by apply bpow_ge_0. rewrite <- abs_IZR.
    apply Rle_lt_trans with (bpow radix2 prec * bpow radix2 e).
    + apply Rmult_le_compat_r; [apply bpow_ge_0|]. rewrite P. now apply IZR_le.
    + rewrite <- bpow_plus. apply bpow_lt. lia.
Qed.
Lemma representable_Z m : (Z.abs m <= 2 ^ prec)%Z -> (2 < emax)%Z -> representable (IZR m).
Proof.
  intros Hm H. pose proof Hprec as Hp. unfold Prec_gt_0 in Hp. pose proof Hmax as HM.
  unfold Prec_lt_emax in HM. rewrite <- (Rmult_1_r (IZR m)). change 1 with (bpow radix2 0).
  apply representable_dyadic; auto; lia.
Qed.

(** ** There is such an implementation: left to right, without fused operations *)
Fixpoint sum_left (n : nat) (f : nat -> float) : float :=
  match n with O => float_zero | S k => Bplus mode_NE (sum_left k f) (f k) end.
Definition float_of_Q (q : Q) : float :=
  binary_normalize prec emax Hprec Hmax mode_NE
    (Qnum q * 2 ^ (emax + prec - 3) / Zpos (Qden q)) (3 - emax - prec) false.
Definition left_to_right : arithmetic float := {|
  of_Q := float_of_Q; add := Bplus mode_NE; mul := Bmult mode_NE; div := Bdiv mode_NE;
  relu := fun x => if Bleb x float_zero then float_zero else x;
  leb := Bleb; sum := sum_left;
  affine := fun n x y b => Bplus mode_NE (sum_left n (fun k => Bmult mode_NE (x k) (y k))) b |}.

Lemma float_of_Q_exact q : (3 <= emax + prec)%Z -> representable (Q2R q) ->
  stands_for (float_of_Q q) (Q2R q).
Proof.
  intros He F. set (e := (3 - emax - prec)%Z).
  set (z := (Ztrunc (scaled_mantissa radix2 fexp (Q2R q)) * 2 ^ (cexp radix2 fexp (Q2R q) - e))%Z).
  assert (C : (e <= cexp radix2 fexp (Q2R q))%Z).
  { unfold cexp, SpecFloat.fexp, SpecFloat.emin, e. lia. }
  assert (E : Q2R q = IZR z * bpow radix2 e).
  { destruct F as [G _]. unfold generic_format, F2R in G. cbn [Fnum Fexp] in G. rewrite G at 1.
    unfold z. rewrite mult_IZR. change 2%Z with (radix_val radix2) at 1.
    rewrite IZR_Zpower, Rmult_assoc, <- bpow_plus by lia. do 2 f_equal. lia. }
  assert (D : (Qnum q * 2 ^ (emax + prec - 3) / Zpos (Qden q) = z)%Z).
  { symmetry. apply Z.div_unique_exact; [lia|]. apply eq_IZR. rewrite !mult_IZR.
    change (2 ^ (emax + prec - 3))%Z with (radix2 ^ (emax + prec - 3))%Z.
    rewrite IZR_Zpower by lia. unfold Q2R in E.
    replace (emax + prec - 3)%Z with (- e)%Z by (unfold e; lia). rewrite bpow_opp.
    assert (Dn : IZR (Zpos (Qden q)) <> 0) by (apply IZR_neq; lia).
    pose proof (bpow_gt_0 radix2 e) as B.
    apply Rmult_eq_reg_r with (bpow radix2 e); [|lra].
    rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    replace (IZR (Qnum q)) with (IZR (Z.pos (Qden q)) * (IZR (Qnum q) * / IZR (Z.pos (Qden q)))) by (field; auto).
    rewrite E. ring. }
  unfold float_of_Q. rewrite D, E. fold e. apply normalize_exact. now rewrite <- E.
Qed.

Theorem left_to_right_ieee : (3 <= emax + prec)%Z -> ieee left_to_right.
Proof.
  intros He. constructor; try reflexivity.
  - intros q. now apply float_of_Q_exact.
  - intros n f. exists (seq 0 n). split; [reflexivity|]. cbn [sum left_to_right].
    induction n; [constructor|]. rewrite seq_S. cbn [sum_left].
    apply by_addition; [exact IHn|apply (from_one (fun k => Value (f k)))].
  - intros n x y b. exists (map S (seq 0 n) ++ [0%nat]). split.
    + rewrite seq_shift. apply Permutation_sym, Permutation_cons_append.
    + cbn [affine left_to_right]. apply by_addition; [|constructor].
      set (terms := fun k => match k with O => Value b | S k => Product (x k) (y k) end).
      induction n; [constructor|]. rewrite seq_S, map_app. cbn [sum_left map].
      apply by_addition; [exact IHn|apply (from_one terms (S n))].
Qed.
End Format.
