(** * Theorem 1 with softmax: explicit temperatures

    [UnconditionalGeneration] says how much the two heads may leak; here that is
    solved for the inverse temperature in the cases of interest. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding
  UnconditionalGeneration.
Import ListNotations.
Open Scope R_scope.

(** Every sequence is generated, whatever the token embedding with entries up to [M]. *)
Definition generates_all (V N : nat) (M : R) (T : temperature) (m : mask) : Prop :=
  forall E y, bounded V N E M -> sequence V N y ->
    generate real (unconditional_generation V N E) (softmax T) m (unconditional_prompt V y) [] N
    = map y (seq 0 N).

Theorem generates_all_iff V N (M : Q) T m :
  (1 <= V)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m ->
  (generates_all V N (Q2R M) T m <->
   V = 1%nat \/ forall n, (1 <= n <= N)%nat -> unconditional_leak V N T (Q2R M) n < / (2 * INR V)).
Proof.
  intros HV M0 Hm Hl. split.
  - intros H. destruct (Nat.eq_dec V 1) as [|V1]; [now left|right]. intros n Hn.
    apply unconditional_necessary with (m := m); auto; [lia|]. intros y Hy. apply H; auto.
    intros r v _ _. rewrite Q2R_opp, Rabs_Ropp, Rabs_pos_eq; lra.
  - intros H E y HE Hy. now apply unconditional_softmax with (M := Q2R M).
Qed.

(** The two heads at the same inverse temperature. *)
Lemma leak_equal V N T tau M n : (1 <= V)%nat -> (1 <= n)%nat ->
  T (unconditional_self N) n = tau -> T (unconditional_first N) n = tau ->
  (unconditional_leak V N T M n < / (2 * INR V) <->
   (INR n - 1) * (4 * INR V - 3 + 2 * INR V * M) < exp tau).
Proof.
  intros HV Hn E1 E2. unfold unconditional_leak. rewrite E1, E2.
  assert (PV : 0 < INR V) by (apply lt_0_INR; lia). pose proof (INR_ge1 n Hn) as N1.
  set (c := INR n - 1). assert (c0 : 0 <= c) by (unfold c; lra).
  pose proof (exp_pos tau) as Q. set (q := exp tau) in *.
  set (l := c / (q + c) + c / (q + c) * ((INR V - 1) / INR V + M)).
  assert (El : l * (2 * INR V * (q + c)) = c * (4 * INR V - 2 + 2 * INR V * M))
    by (unfold l; field; lra).
  assert (P : 0 < 2 * INR V * (q + c)) by nra.
  split; intros H.
  - apply Rmult_lt_compat_r with (r := 2 * INR V * (q + c)) in H; auto. rewrite El in H.
    replace (/ (2 * INR V) * (2 * INR V * (q + c))) with (q + c) in H by (field; lra). lra.
  - apply Rmult_lt_reg_r with (2 * INR V * (q + c)); auto. rewrite El.
    replace (/ (2 * INR V) * (2 * INR V * (q + c))) with (q + c) by (field; lra). lra.
Qed.

(** An inverse temperature per head, the same at every length: the full length decides. *)
Theorem per_head_iff V N (M : Q) (T : head -> R) m :
  (2 <= V)%nat -> (1 <= N)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m ->
  (generates_all V N (Q2R M) (fun h _ => T h) m <->
   unconditional_leak V N (fun h _ => T h) (Q2R M) N < / (2 * INR V)).
Proof.
  intros HV HN M0 Hm Hl. rewrite generates_all_iff by (auto; lia). split.
  - intros [|H]; [lia|]. apply H. lia.
  - intros H. right. intros n Hn. eapply Rle_lt_trans; [|exact H]. unfold unconditional_leak.
    pose proof (INR_ge1 n ltac:(lia)) as N1. pose proof (le_INR n N ltac:(lia)) as N2.
    apply Rplus_le_compat; [apply leak_monotone; [apply exp_pos|lra]|].
    apply Rmult_le_compat_r; [|apply leak_monotone; [apply exp_pos|lra]].
    assert (1 <= INR V) by (apply INR_ge1; lia).
    assert (0 <= (INR V - 1) / INR V).
    { apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. lra. }
    lra.
Qed.
Theorem constant_iff V N (M : Q) tau m :
  (2 <= V)%nat -> (1 <= N)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m ->
  (generates_all V N (Q2R M) (fun _ _ => tau) m <->
   (INR N - 1) * (4 * INR V - 3 + 2 * INR V * Q2R M) < exp tau).
Proof.
  intros HV HN M0 Hm Hl. rewrite (per_head_iff V N M (fun _ => tau)) by auto.
  apply leak_equal; auto; lia.
Qed.

(** The authors' notebook: scores divided by the square root of the current
    LENGTH, no causal mask. *)
Theorem notebook_iff V N tau :
  (2 <= V)%nat -> (2 <= N)%nat ->
  (generates_all V N 0 (fun _ n => tau / sqrt (INR n)) full <->
   sqrt (INR N) * ln ((INR N - 1) * (4 * INR V - 3)) < tau).
Proof.
  intros HV HN. rewrite <- Q2R_0.
  rewrite generates_all_iff by (auto using admissible_full, full_last; rewrite ?Q2R_0; lia || lra).
  assert (V2 : 2 <= INR V) by (apply (le_INR 2) in HV; exact HV).
  assert (N2 : 2 <= INR N) by (apply (le_INR 2) in HN; exact HN).
  set (L := (INR N - 1) * (4 * INR V - 3)). assert (L1 : 1 < L) by (unfold L; nra).
  assert (SN : forall n, (1 <= n)%nat -> 0 < sqrt (INR n)).
  { intros n Hn. apply sqrt_lt_R0, lt_0_INR. lia. }
  assert (LE : forall n, (1 <= n)%nat ->
    unconditional_leak V N (fun _ n => tau / sqrt (INR n)) (Q2R 0) n < / (2 * INR V) <->
    (INR n - 1) * (4 * INR V - 3) < exp (tau / sqrt (INR n))).
  { intros n Hn. rewrite (leak_equal V N _ (tau / sqrt (INR n))) by (auto; lia).
    rewrite Q2R_0, Rmult_0_r, Rplus_0_r. reflexivity. }
  split.
  - intros [|H]; [lia|]. specialize (H N ltac:(lia)). apply LE in H; [|lia]. fold L in H.
    apply Rmult_lt_reg_r with (/ sqrt (INR N)); [apply Rinv_0_lt_compat, SN; lia|].
    replace (sqrt (INR N) * ln L * / sqrt (INR N)) with (ln L)
      by (field; apply Rgt_not_eq, SN; lia).
    apply exp_lt_inv. rewrite exp_ln by lra. exact H.
  - intros H. right. intros n Hn. apply LE; [lia|].
    assert (l0 : 0 < ln L) by (rewrite <- ln_1; apply ln_increasing; lra).
    assert (Sn : sqrt (INR n) <= sqrt (INR N)) by (apply sqrt_le_1_alt, le_INR; lia).
    pose proof (SN n ltac:(lia)) as S0. pose proof (le_INR n N ltac:(lia)) as nN.
    apply Rle_lt_trans with L.
    + apply Rmult_le_compat_r; lra.
    + rewrite <- (exp_ln L) by lra. apply exp_increasing.
      apply Rmult_lt_reg_r with (sqrt (INR n)); auto.
      replace (tau / sqrt (INR n) * sqrt (INR n)) with tau by (field; lra).
      apply Rle_lt_trans with (sqrt (INR N) * ln L); [|lra]. nra.
Qed.

(** One position, both heads alike, [E = 0], any admissible mask: exact. *)
Theorem position_iff V N y tau m tokens i :
  let n := (1 + length tokens)%nat in
  sequence V N y -> admissible m -> (n <= N)%nat -> (i < n)%nat ->
  (decodes V (logits real (unconditional_generation V N zero_matrix) (softmax (fun _ => tau)) m
     (unconditional_prompt V y) tokens i) (y i) <->
   y i = 0%nat \/
   (INR (count n (m n i)) - 1) * (2 * (INR V + INR (y i)) - 1) < exp (tau n)).
Proof.
  intros n Hy Hm Hn Hi. assert (Yi : (y i < V)%nat) by (apply Hy; lia).
  assert (A : forall j, (j < n)%nat -> m n j j = true /\ m n j 0%nat = true) by (intros; now apply Hm).
  rewrite (unconditional_decodes_iff V N zero_matrix y ltac:(lia) Hy _ _ (softmax_leaks (fun _ => tau))
    m tokens i A Hn Hi eq_refl).
  2:{ intros r Hr. rewrite (noise_constant V N zero_matrix y ltac:(lia) m tokens i A Hn Hi 0) by auto.
      rewrite Q2R_0. lra. }
  fold n. unfold softmax_leak. set (t := INR (count n (m n i))).
  assert (T1 : 1 <= t) by (apply INR_ge1, (count_pos n _ i); [auto|now apply A]).
  pose proof (exp_pos (tau n)) as Q. set (q := exp (tau n)) in *.
  assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
  set (l := (t - 1) * (1 / (q + (t - 1))) * (1 + INR (y i) / INR V)).
  assert (El : 2 * INR V * l * (q + (t - 1)) = (t - 1) * (2 * (INR V + INR (y i))))
    by (unfold l; field; lra).
  assert (P : 0 < q + (t - 1)) by lra.
  split; (intros [|H]; [now left|right]).
  - apply Rmult_lt_compat_r with (r := q + (t - 1)) in H; auto. rewrite El in H. lra.
  - apply Rmult_lt_reg_r with (q + (t - 1)); auto. rewrite El. lra.
Qed.

(** [E = 0], both heads alike. *)
Theorem zero_embedding_iff V N tau m :
  (2 <= V)%nat -> (1 <= N)%nat -> admissible m -> last_sees_all m ->
  ((forall y, sequence V N y ->
      generate real (unconditional_generation V N zero_matrix) (softmax (fun _ _ => tau)) m
        (unconditional_prompt V y) [] N = map y (seq 0 N))
   <-> (INR N - 1) * (4 * INR V - 3) < exp tau).
Proof.
  intros HV HN Hm Hl.
  assert (Z : 0 <= Q2R 0) by (rewrite Q2R_0; lra).
  assert (E : (INR N - 1) * (4 * INR V - 3) = (INR N - 1) * (4 * INR V - 3 + 2 * INR V * Q2R 0))
    by (rewrite Q2R_0; ring).
  split; intros H.
  - rewrite E. apply (leak_equal V N (fun _ _ => tau)); auto; [lia|].
    apply unconditional_necessary with (m := m); auto; lia.
  - intros y Hy. rewrite E in H. apply (constant_iff V N 0 tau m); auto.
    intros r v _ _. unfold zero_matrix. rewrite Q2R_0, Rabs_R0. lra.
Qed.
