(** * Finite sums of reals, counting, and rows of matrices as linear forms *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia.
From PrefixProof Require Import Model Constructions.
Import ListNotations.
Open Scope R_scope.

(** Rationals as reals: [Q2R 0] does not reduce to [0]. *)
Lemma Q2R_0 : Q2R 0 = 0. Proof. unfold Q2R; simpl; lra. Qed.
Lemma Q2R_1 : Q2R 1 = 1. Proof. unfold Q2R; simpl; lra. Qed.
Lemma Q2R_inject z : Q2R (inject_Z z) = IZR z.
Proof. unfold Q2R, inject_Z; simpl; lra. Qed.
Lemma Q2R_fraction V k : (1 <= V)%nat -> Q2R (fraction V k) = INR k / INR V.
Proof.
  intros HV; unfold Q2R, fraction; simpl. rewrite (INR_IZR_INZ k), (INR_IZR_INZ V).
  replace (Z.of_nat V) with (Zpos (Pos.of_nat V)); [reflexivity|].
  rewrite <- positive_nat_Z, Nat2Pos.id by lia. reflexivity.
Qed.
Lemma INR_pred_bound a b : (a < b)%nat -> INR a <= INR b - 1.
Proof. intros H. pose proof (le_INR (S a) b H) as L. rewrite S_INR in L. lra. Qed.
Lemma INR_ge1 a : (1 <= a)%nat -> 1 <= INR a.
Proof. intros H. apply (le_INR 1) in H. exact H. Qed.

Lemma Rabs_bound a e : Rabs a <= e -> - e <= a <= e.
Proof.
  intros H. pose proof (Rle_abs a). pose proof (Rle_abs (- a)) as L. rewrite Rabs_Ropp in L. lra.
Qed.

(** The indicator of [a = b]. *)
Definition kron (a b : nat) : R := if (a =? b)%nat then 1 else 0.
Lemma kron_same a : kron a a = 1. Proof. unfold kron. now rewrite Nat.eqb_refl. Qed.
Lemma kron_diff a b : a <> b -> kron a b = 0.
Proof. intros H. unfold kron. now rewrite (proj2 (Nat.eqb_neq a b) H). Qed.
Lemma kron_sym a b : kron a b = kron b a.
Proof. unfold kron. now rewrite Nat.eqb_sym. Qed.
Lemma kron_range a b : 0 <= kron a b <= 1.
Proof. unfold kron. destruct (a =? b)%nat; lra. Qed.

Fixpoint Rsum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => Rsum k f + f k end.

Lemma Rsum_ext n f g : (forall k, (k < n)%nat -> f k = g k) -> Rsum n f = Rsum n g.
Proof. induction n; intros H; simpl; auto. rewrite H, IHn by (intros; try apply H; lia); auto. Qed.
Lemma Rsum_0 n f : (forall k, (k < n)%nat -> f k = 0) -> Rsum n f = 0.
Proof. induction n; intros H; simpl; auto. rewrite H, IHn by (intros; try apply H; lia); lra. Qed.
Lemma Rsum_single n a f : (a < n)%nat ->
  (forall k, (k < n)%nat -> k <> a -> f k = 0) -> Rsum n f = f a.
Proof.
  induction n; intros Ha H; [lia|]; simpl. destruct (Nat.eq_dec a n) as [->|Hn].
  - rewrite Rsum_0 by (intros; apply H; lia). lra.
  - rewrite IHn by (intros; try apply H; lia). rewrite (H n) by lia. lra.
Qed.
Lemma Rsum_plus n f g : Rsum n (fun k => f k + g k) = Rsum n f + Rsum n g.
Proof. induction n; simpl; [lra|rewrite IHn; lra]. Qed.
Lemma Rsum_scal n c f : Rsum n (fun k => c * f k) = c * Rsum n f.
Proof. induction n; simpl; [lra|rewrite IHn; lra]. Qed.
Lemma Rsum_const n c : Rsum n (fun _ => c) = INR n * c.
Proof. induction n; [simpl; lra|]. rewrite S_INR. simpl Rsum. rewrite IHn. lra. Qed.
Lemma Rsum_split n p f : Rsum (n + p) f = Rsum n f + Rsum p (fun k => f (n + k)%nat).
Proof.
  induction p; simpl; [rewrite Nat.add_0_r; lra|].
  rewrite Nat.add_succ_r; simpl. rewrite IHp. lra.
Qed.
Lemma Rsum_le n f g : (forall k, (k < n)%nat -> f k <= g k) -> Rsum n f <= Rsum n g.
Proof.
  induction n; intros H; simpl; [lra|].
  apply Rplus_le_compat; [apply IHn; intros|]; apply H; lia.
Qed.
Lemma Rsum_ge0 n f : (forall k, (k < n)%nat -> 0 <= f k) -> 0 <= Rsum n f.
Proof. intros H. rewrite <- (Rsum_0 n (fun _ => 0)) by auto. now apply Rsum_le. Qed.
Lemma Rsum_abs n f : Rabs (Rsum n f) <= Rsum n (fun k => Rabs (f k)).
Proof.
  induction n; simpl; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|lra].
Qed.

(** Number of visible positions, and sums over them. *)
Fixpoint count (n : nat) (vis : nat -> bool) : nat :=
  match n with O => O | S k => (count k vis + if vis k then 1 else 0)%nat end.
Definition Rsum_visible (n : nat) (vis : nat -> bool) (f : nat -> R) : R :=
  Rsum n (fun j => if vis j then f j else 0).

Lemma count_le n vis : (count n vis <= n)%nat.
Proof. induction n; simpl; [lia|destruct (vis n); lia]. Qed.
Lemma count_sum n vis : INR (count n vis) = Rsum n (fun k => if vis k then 1 else 0).
Proof. induction n; simpl; auto. rewrite plus_INR, IHn. destruct (vis n); simpl; lra. Qed.
Lemma count_pos n vis j : (j < n)%nat -> vis j = true -> (1 <= count n vis)%nat.
Proof.
  induction n; simpl; intros; [lia|]. destruct (Nat.eq_dec j n) as [->|]; [rewrite H0; lia|].
  specialize (IHn ltac:(lia) H0). lia.
Qed.
Lemma count_two n vis i j : (i < n)%nat -> (j < n)%nat -> i <> j ->
  vis i = true -> vis j = true -> (2 <= count n vis)%nat.
Proof.
  induction n; simpl; intros; [lia|]. destruct (Nat.eq_dec j n) as [->|].
  - rewrite H3. pose proof (count_pos n vis i ltac:(lia) H2). lia.
  - destruct (Nat.eq_dec i n) as [->|].
    + rewrite H2. pose proof (count_pos n vis j ltac:(lia) H3). lia.
    + specialize (IHn ltac:(lia) ltac:(lia) H1 H2 H3). lia.
Qed.
Lemma count_all n vis : (forall j, (j < n)%nat -> vis j = true) -> count n vis = n.
Proof. induction n; simpl; intros H; auto. rewrite IHn, H by (intros; try apply H; lia). lia. Qed.
Lemma count_prefix n k vis : (k <= n)%nat -> (forall j, (j < n)%nat -> vis j = (j <? k)%nat) ->
  count n vis = k.
Proof.
  intros Hk. replace n with (k + (n - k))%nat by lia. generalize (n - k)%nat as p.
  induction p; intros H; simpl.
  - rewrite Nat.add_0_r in *. apply count_all. intros. rewrite H by lia. now apply Nat.ltb_lt.
  - rewrite Nat.add_succ_r in *. simpl. rewrite IHp by (intros; apply H; lia).
    rewrite H by lia. rewrite (proj2 (Nat.ltb_ge _ _)) by lia. lia.
Qed.

Lemma Rsum_visible_ext n vis f g : (forall k, (k < n)%nat -> vis k = true -> f k = g k) ->
  Rsum_visible n vis f = Rsum_visible n vis g.
Proof. intros H. apply Rsum_ext. intros k Hk. destruct (vis k) eqn:E; auto. Qed.
Lemma Rsum_visible_le n vis f g : (forall k, (k < n)%nat -> vis k = true -> f k <= g k) ->
  Rsum_visible n vis f <= Rsum_visible n vis g.
Proof. intros H. apply Rsum_le. intros k Hk. destruct (vis k) eqn:E; auto; lra. Qed.
Lemma Rsum_visible_const n vis c : Rsum_visible n vis (fun _ => c) = INR (count n vis) * c.
Proof.
  rewrite count_sum, Rmult_comm, <- Rsum_scal. apply Rsum_ext. intros. destruct (vis k); lra.
Qed.
Lemma Rsum_visible_plus n vis f g :
  Rsum_visible n vis (fun k => f k + g k) = Rsum_visible n vis f + Rsum_visible n vis g.
Proof. unfold Rsum_visible. rewrite <- Rsum_plus. apply Rsum_ext. intros. destruct (vis k); lra. Qed.
Lemma Rsum_visible_scal n vis c f :
  Rsum_visible n vis (fun k => c * f k) = c * Rsum_visible n vis f.
Proof. unfold Rsum_visible. rewrite <- Rsum_scal. apply Rsum_ext. intros. destruct (vis k); lra. Qed.
(** Take one visible position out of the sum. *)
Lemma Rsum_visible_out n vis f a : (a < n)%nat -> vis a = true ->
  Rsum_visible n vis f = f a + Rsum_visible n vis (fun k => (1 - kron k a) * f k).
Proof.
  intros Ha Va.
  transitivity (Rsum n (fun k => (if vis k then kron k a * f k else 0)
                               + (if vis k then (1 - kron k a) * f k else 0))).
  - apply Rsum_ext. intros. destruct (vis k); lra.
  - rewrite Rsum_plus. f_equal. rewrite (Rsum_single n a); auto.
    + rewrite Va, kron_same. lra.
    + intros k _ Hk. rewrite kron_diff by auto. destruct (vis k); lra.
Qed.
(** A bound on each visible term but one, [a], where the term is 0. *)
Lemma Rsum_visible_bound n vis f a c : (a < n)%nat -> vis a = true -> f a = 0 ->
  (forall k, (k < n)%nat -> vis k = true -> k <> a -> Rabs (f k) <= c) ->
  Rabs (Rsum_visible n vis f) <= (INR (count n vis) - 1) * c.
Proof.
  intros Ha Va Fa H.
  replace ((INR (count n vis) - 1) * c) with (Rsum_visible n vis (fun k => (1 - kron k a) * c)).
  - eapply Rle_trans; [apply Rsum_abs|]. apply Rsum_le. intros k Hk. destruct (vis k) eqn:E.
    + destruct (Nat.eq_dec k a) as [->|]; [rewrite kron_same, Fa, Rabs_R0; lra|].
      rewrite kron_diff by auto. specialize (H k Hk E n0). lra.
    + rewrite Rabs_R0. lra.
  - pose proof (Rsum_visible_out n vis (fun _ => c) a Ha Va) as O. cbv beta in O.
    rewrite Rsum_visible_const in O. lra.
Qed.

(** Exactly two visible positions. *)
Lemma Rsum_visible_two n vis f a b c : (a < n)%nat -> (b < n)%nat -> a <> b ->
  vis a = true -> vis b = true -> count n vis = 2%nat ->
  (forall k, (k < n)%nat -> Rabs (f k) <= c) -> Rsum_visible n vis f = f a + f b.
Proof.
  intros Ha Hb Hab Va Vb H2 Hc.
  set (others := fun k => (1 - kron k a) * (1 - kron k b)).
  assert (C : Rsum_visible n vis others = 0).
  { pose proof (Rsum_visible_out n vis (fun _ => 1) a Ha Va) as O. cbv beta in O.
    rewrite (Rsum_visible_out n vis (fun k => (1 - kron k a) * 1) b) in O by auto.
    rewrite Rsum_visible_const, H2, (kron_diff b a) in O by auto. simpl (INR 2) in O.
    rewrite (Rsum_visible_ext n vis _ others) in O by (intros; unfold others; ring). lra. }
  rewrite (Rsum_visible_out n vis f a), (Rsum_visible_out n vis _ b), (kron_diff b a) by auto.
  rewrite (Rsum_visible_ext n vis _ (fun k => others k * f k)) by (intros; unfold others; ring).
  assert (Z : Rabs (Rsum_visible n vis (fun k => others k * f k)) <= 0).
  { apply Rle_trans with (Rsum_visible n vis (fun k => c * others k));
      [|rewrite Rsum_visible_scal, C; lra].
    eapply Rle_trans; [apply Rsum_abs|].
    apply Rsum_le. intros k Hk. cbv beta. destruct (vis k); [|rewrite Rabs_R0; lra].
    assert (0 <= others k).
    { unfold others. pose proof (kron_range k a). pose proof (kron_range k b).
      apply Rmult_le_pos; lra. }
    rewrite Rabs_mult, (Rabs_pos_eq (others k)), Rmult_comm by auto.
    apply Rmult_le_compat_r; auto. }
  apply Rabs_bound in Z. lra.
Qed.

(** ** Rows as linear forms *)
Definition form (ts : list term) (x : nat -> R) : R :=
  fold_right (fun '(q, s, k) acc => Q2R q * Rsum k (fun j => x (s + j)%nat) + acc) 0 ts.
Definition fits (d : nat) (ts : list term) : Prop :=
  Forall (fun t => snd (fst t) + snd t <= d)%nat ts.

Lemma Rsum_window d s k (x : nat -> R) : (s + k <= d)%nat ->
  Rsum d (fun c => (if ((s <=? c) && (c <? s + k))%nat%bool then 1 else 0) * x c)
  = Rsum k (fun j => x (s + j)%nat).
Proof.
  intros H. replace d with (s + (k + (d - s - k)))%nat by lia. rewrite !Rsum_split.
  rewrite Rsum_0, (Rsum_0 (d - s - k)).
  - rewrite Rplus_0_l, Rplus_0_r. apply Rsum_ext. intros j Hj.
    rewrite (proj2 (Nat.leb_le _ _)), (proj2 (Nat.ltb_lt _ _)) by lia. simpl. lra.
  - intros j Hj. rewrite (proj2 (Nat.ltb_ge _ _)) by lia. rewrite andb_false_r. lra.
  - intros j Hj. rewrite (proj2 (Nat.leb_gt _ _)) by lia. simpl. lra.
Qed.
Lemma form_entry d ts x : fits d ts ->
  Rsum d (fun c => Q2R (entry ts c) * x c) = form ts x.
Proof.
  induction 1 as [|[[q s] k] ts H _ IH]; cbn [entry fold_right form].
  - apply Rsum_0. intros. rewrite Q2R_0. lra.
  - change (fold_right _ 0 ts) with (form ts x). rewrite <- IH.
    cbn [fst snd] in H. rewrite <- (Rsum_window d s k x H), <- Rsum_scal, <- Rsum_plus.
    apply Rsum_ext. intros c _. fold (entry ts c).
    destruct ((s <=? c) && (c <? s + k))%nat%bool; rewrite ?Q2R_plus; lra.
Qed.
Lemma form_step q s k ts x :
  form ((q, s, k) :: ts) x = Q2R q * Rsum k (fun j => x (s + j)%nat) + form ts x.
Proof. reflexivity. Qed.
Lemma form_nil x : form [] x = 0. Proof. reflexivity. Qed.
Lemma form_scale q ts x : form (scale q ts) x = Q2R q * form ts x.
Proof.
  induction ts as [|[[a s] k] ts IH]; [cbn; lra|]. unfold scale in *. cbn [map].
  rewrite !form_step, IH, Q2R_mult. lra.
Qed.
Lemma form_app ts us x : form (ts ++ us) x = form ts x + form us x.
Proof.
  induction ts as [|[[a s] k] ts IH]; cbn [app]; [rewrite form_nil; lra|].
  rewrite !form_step, IH. lra.
Qed.
Lemma form_pick s x : form [pick s] x = x s.
Proof. unfold pick. rewrite form_step, form_nil, Q2R_1. cbn [Rsum]. rewrite Nat.add_0_r. lra. Qed.
Lemma form_total s k x : form [total s k] x = Rsum k (fun j => x (s + j)%nat).
Proof. unfold total. rewrite form_step, form_nil, Q2R_1. lra. Qed.
Lemma form_cons t ts x : form (t :: ts) x = form [t] x + form ts x.
Proof. exact (form_app [t] ts x). Qed.
Lemma fits_scale d q ts : fits d ts -> fits d (scale q ts).
Proof. induction 1 as [|[[a s] k] ts H _ IH]; constructor; auto. Qed.

(** Reading a stack of neurons group by group. *)
Lemma stack_here k f gs r : (r < k)%nat -> stack ((k, f) :: gs) r = f r.
Proof. intros H. simpl. now rewrite (proj2 (Nat.ltb_lt _ _) H). Qed.
Lemma stack_next k f gs r : stack ((k, f) :: gs) (k + r) = stack gs r.
Proof.
  simpl. rewrite (proj2 (Nat.ltb_ge _ _)) by lia. now replace (k + r - k)%nat with r by lia.
Qed.
