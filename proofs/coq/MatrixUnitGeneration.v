(** * The constructions on matrix units, tokens encoded as integers

    Every number that is computed is an integer of at most [2^23]: a multiple of [2^0]. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Permutation.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration LongerResponses Encodings Exact ExactGeneration
  Floats FloatEncodings FloatSoftmax FloatGeneration MatrixUnits MatrixUnitSums.
Import ListNotations.
Open Scope R_scope.

Section Unit.
Variables prec emax : Z.                               (* of stored numbers *)
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Variables pin ein : Z.                                 (* of factors *)
Context (Hpin : Prec_gt_0 pin) (Hein : Prec_lt_emax pin ein).
Notation float := (binary_float prec emax).
Notation rep := (stands_for prec emax).
Variable input : float -> binary_float pin ein.
Variable u : matrix_unit.
Notation widen := (widen prec emax).
Notation narrow := (narrow prec emax Hprec Hmax).

(** Around the unit everything is computed in binary32 and rounded once to the stored format. *)
Record on_matrix_unit (o : arithmetic float) : Prop := {
  unit_of_Q : forall q, representable prec emax (Q2R q) -> rep (of_Q o q) (Q2R q);
  unit_div : forall x y, div o x y = narrow (Bdiv mode_NE (widen x) (widen y));
  unit_relu : forall x, relu o x =
    if Bleb x (float_zero prec emax Hprec Hmax) then float_zero prec emax Hprec Hmax else x;
  unit_leb : leb o = Bleb;
  unit_sum_of : forall n f, exists s, sum o n f = narrow s /\
    unit_any_order prec emax Hprec Hmax pin ein input u true n (fun k => Value _ _ (f k)) s;
  unit_affine : forall n x y b, exists s, affine o n x y b = narrow s /\
    unit_any_order prec emax Hprec Hmax pin ein input u true (S n)
      (fun k => match k with O => Value _ _ b | S k => Product _ _ (x k) (y k) end) s }.

Definition small (r : R) : Prop := exists z, r = IZR z /\ (Z.abs z <= 2 ^ 23)%Z.
Definition result (r : R) : Prop := representable prec emax r /\ small r.
Definition readable (r : R) : Prop := result r /\ representable pin ein r.

(** The unit's view of a stored number: the same number where the format of factors has it. *)
Definition reads : Prop := forall x r, rep x r -> representable pin ein r -> stands_for pin ein (input x) r.
Hypothesis Hin : reads.
Hypothesis Hu : good_unit u.
Hypothesis He : (3 <= ein)%Z.
Hypothesis Hs : stored_below_32 prec emax.
Hypothesis He1 : (3 <= emax)%Z.

Lemma representable_int p e (Hp : Prec_gt_0 p) (Hm : Prec_lt_emax p e) m :
  (2 < e)%Z -> (Z.abs m <= 1)%Z -> representable p e (IZR m).
Proof.
  intros H1 H2. apply representable_Z; auto. unfold Prec_gt_0 in Hp.
  apply Z.le_trans with (1 := H2). apply (Z.pow_le_mono_r 2 0); lia.
Qed.
Lemma readable_0 : readable 0.
Proof.
  split; [split|]; [apply (representable_int prec emax Hprec Hmax 0); lia| |apply (representable_int pin ein Hpin Hein 0); lia].
  exists 0%Z. split; [reflexivity|]. discriminate.
Qed.
Lemma readable_1 : readable 1.
Proof.
  split; [split|]; [apply (representable_int prec emax Hprec Hmax 1); lia| |apply (representable_int pin ein Hpin Hein 1); lia].
  exists 1%Z. split; [reflexivity|]. discriminate.
Qed.
Lemma small_on_grid r : small r -> multiple 0 r /\ Rabs r < bpow radix2 (0 + 24).
Proof.
  intros (z & -> & B). split.
  - apply generic_format_FIX. exists (Float radix2 z 0); [|reflexivity]. unfold F2R. cbn. ring.
  - rewrite <- abs_IZR. change (bpow radix2 (0 + 24)) with (IZR (2 ^ 24)). apply IZR_lt.
    eapply Z.le_lt_trans; [exact B|]. reflexivity.
Qed.
Lemma narrow_exact s r : rep32 s r -> representable prec emax r -> rep (narrow s) r.
Proof. intros H F. now apply convert_exact with (p1 := 24%Z) (e1 := 128%Z). Qed.

Lemma unit_two terms val n s p q : p <> q -> (p < n)%nat -> (q < n)%nat \/ val q = 0 ->
  unit_any_order prec emax Hprec Hmax pin ein input u true n terms s ->
  (forall k, (k < n)%nat -> read_as prec emax pin ein input (terms k) (val k)) ->
  (forall k, k <> p -> k <> q -> val k = 0) ->
  result (val p) -> result (val q) -> result (val p + val q) ->
  rep (narrow s) (val p + val q).
Proof.
  intros Hpq Hp Hq (l & Pl & Al) HT Hz Fp Fq Fpq.
  assert (ND : NoDup l) by (apply (Permutation_NoDup (Permutation_sym Pl)), seq_NoDup).
  assert (Il : forall k, In k l <-> (k < n)%nat).
  { intros k. split; intros H.
    - apply (Permutation_in k Pl) in H. apply in_seq in H. lia.
    - apply (Permutation_in k (Permutation_sym Pl)), in_seq. lia. }
  assert (FL : forall l', NoDup l' -> result (list_sum val l')).
  { intros l' N'. rewrite (list_sum_support val p q) by auto. unfold has. pose proof (proj1 readable_0).
    destruct (in_dec _ p l'), (in_dec _ q l'); rewrite ?Rmult_1_l, ?Rmult_0_l, ?Rplus_0_l, ?Rplus_0_r; auto. }
  assert (E : list_sum val l = val p + val q).
  { rewrite (list_sum_support val p q) by auto. unfold has.
    destruct (in_dec _ p l) as [_|N1]; [|exfalso; apply N1, Il, Hp].
    destruct (in_dec _ q l) as [_|N2]; [lra|]. destruct Hq as [Hq| ->]; [|lra].
    exfalso. apply N2, Il, Hq. }
  rewrite <- E. apply narrow_exact; [|apply FL, ND].
  apply (unit_sum_exact prec emax Hprec Hmax pin ein input u Hu) with (terms := terms) (storing := true) (g := 0%Z);
    auto; try lia.
  - assert (O : rep (float_of_Z prec emax Hprec Hmax 1) 1) by (apply of_Z_exact, readable_1).
    split; auto. apply Hin; auto. apply readable_1.
  - intros k Hk. apply HT, Il, Hk.
  - intros l' N' _. apply small_on_grid, FL, N'.
  - intros _ l' N' _. apply FL, N'.
Qed.

Theorem matrix_unit_exact o : on_matrix_unit o -> exact_arithmetic o rep readable result.
Proof.
  intros H. constructor.
  - apply readable_0.
  - apply readable_1.
  - intros q [Fq _]. now apply (unit_of_Q o H).
  - intros n f a z Ha Hz Fz Hk. destruct (unit_sum_of o H n f) as (s & -> & Us).
    set (val := fun k => if (k =? a)%nat then z else 0).
    assert (Va : val a = z) by (unfold val; now rewrite Nat.eqb_refl).
    assert (V0 : forall k, k <> a -> val k = 0).
    { intros k Hne. unfold val. now rewrite (proj2 (Nat.eqb_neq k a) Hne). }
    assert (Vq : val (S a) = 0) by (apply V0; lia).
    replace z with (val a + val (S a)) by (rewrite Va, Vq; lra).
    apply unit_two with (terms := fun k => Value _ _ (f k)) (n := n); auto.
    + intros k Hlt. cbn. destruct (Nat.eq_dec k a) as [->|Hne]; [now rewrite Va|]. rewrite V0 by auto. auto.
    + rewrite Va. apply Fz.
    + rewrite Vq. apply readable_0.
    + rewrite Va, Vq, Rplus_0_r. apply Fz.
  - intros f z0 z1 H0 H1 Z0 Z1 Z01. destruct (unit_sum_of o H 2 f) as (s & -> & Us).
    set (val := fun k => match k with O => z0 | S O => z1 | _ => 0 end).
    change (rep (narrow s) (val 0%nat + val 1%nat)).
    apply unit_two with (terms := fun k => Value _ _ (f k)) (n := 2%nat); auto; try apply Z0; try apply Z1; try apply Z01.
    + intros [|[|k]] Hk; cbn; auto. lia.
    + intros [|[|k]] N0 N1; auto; lia.
  - intros n x y b v w c a Ha Hx Hy Fvw Hb Hz Fm Fc Fs. destruct (unit_affine o H n x y b) as (s & -> & Us).
    set (val := fun k => match k with O => c | S k => if (k =? a)%nat then v a * w a else 0 end).
    assert (Va : val (S a) = v a * w a) by (unfold val; now rewrite Nat.eqb_refl).
    change (v a * w a + c) with (v a * w a + val 0%nat). rewrite <- Va.
    apply unit_two with (n := S n)
      (terms := fun k => match k with O => Value _ _ b | S k => Product _ _ (x k) (y k) end); auto; try lia.
    + intros [|k] Hk; cbn; auto. destruct (Fvw k ltac:(lia)) as [[_ Fv] [_ Fw]].
      specialize (Hx k ltac:(lia)). specialize (Hy k ltac:(lia)). exists (v k), (w k).
      split; [|split; [exact Hx|split; [exact Hy|split; apply Hin; auto]]].
      destruct (Nat.eqb_spec k a) as [->|Hne]; auto. apply Hz; auto. lia.
    + intros [|k] N1 N2; [lia|]. cbn. now rewrite (proj2 (Nat.eqb_neq k a)) by lia.
    + now rewrite Va.
    + rewrite Va. exact Fs.
  - intros x y a Hx Hy [Fa Sa]. rewrite (unit_div o H). apply narrow_exact; auto.
    apply (widen_exact prec emax Hprec Hs) in Hx, Hy. destruct Hx as [X1 X2], Hy as [Y1 Y2].
    assert (F32 : representable32 a).
    { apply (on_grid32 0); [lia| |]; now apply small_on_grid. }
    assert (NZ : B2R (widen y) <> 0) by (rewrite Y2; lra).
    pose proof (Bdiv_correct 24 128 prec_24 below_128 mode_NE (widen x) (widen y) NZ) as D.
    rewrite X2, Y2 in D. replace (a / 1) with a in D by field.
    destruct (round_representable 24 128 _ F32) as [E B]. rewrite B, E in D.
    destruct D as (D1 & D2 & _). split; [|exact D1]. now rewrite D2.
  - intros x a [X1 X2]. destruct (of_Z_exact prec emax Hprec Hmax 0 (proj1 (proj1 readable_0))) as [Z1 Z2].
    fold (float_zero prec emax Hprec Hmax) in Z1, Z2.
    rewrite (unit_relu o H), Bleb_correct by auto. rewrite X2, Z2.
    destruct (Rle_bool_spec a 0); [rewrite Rmax_left by lra|rewrite Rmax_right by lra]; now split.
  - intros x y a b [X1 X2] [Y1 Y2]. rewrite (unit_leb o H), Bleb_correct by auto. rewrite X2, Y2.
    destruct (Rle_bool_spec a b); split; intros; auto; try lra; try discriminate.
  - intros r [Fr _]. exact Fr.
Qed.
End Unit.
