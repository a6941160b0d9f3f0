(** * Theorem 1 over the reals: unconditional generation *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding.
Import ListNotations.
Open Scope R_scope.

(** A sequence of [N] tokens. *)
Definition sequence (V N : nat) (y : nat -> nat) : Prop := forall k, (k < N)%nat -> (y k < V)%nat.

Section Step.
Variables (V N : nat) (E : matrix) (y : nat -> nat).
Hypothesis HV : (1 <= V)%nat.
Hypothesis Hy : sequence V N y.
Let tf := unconditional_generation V N E.
Let p := unconditional_prompt V y.

Variables (nz : normaliser R) (beta : leak).
Hypothesis Hnz : leaks nz beta.
Variables (m : mask) (tokens : list nat) (i : nat).
Let n := (1 + length tokens)%nat.
Hypothesis Hm : forall j, (j < n)%nat -> m n j j = true /\ m n j 0%nat = true.
Hypothesis Hn : (n <= N)%nat.
Hypothesis Hi : (i < n)%nat.

Let x := inputs real tf p tokens.
Let vis := m n i.
Let t := INR (count n vis).
Let self := unconditional_self N.
Let first := unconditional_first N.
Let bs := beta self n (count n vis).
Let bf := beta first n (count n vis).
Let s (k : nat) : R := INR (y k) / INR V.
(** What the visible tokens' embeddings add up to. *)
Let noise (r : nat) : R := Rsum_visible n vis (fun j => (1 - kron j 0) * x j r).

Lemma first_embedding r : (r < N)%nat -> x 0%nat r = s r.
Proof.
  intros Hr. unfold x. rewrite inputs_virtual by (simpl; lia). now apply Q2R_fraction.
Qed.
Lemma unconditional_position k r : (k < N)%nat -> (r < N)%nat -> x k (N + r)%nat = kron r k.
Proof. intros. unfold x. change N with (embedding_dim tf) at 1. now apply inputs_position. Qed.

Lemma self_leak : 0 <= bs /\ (t - 1) * bs <= 1.
Proof.
  destruct (Hm i Hi) as [M1 _].
  refine (proj1 (Hnz self n vis (fun j => kron j i) i Hi M1 _)). auto.
Qed.
Lemma first_leak : 0 <= bf /\ (t - 1) * bf <= 1.
Proof.
  destruct (Hm i Hi) as [_ M0].
  refine (proj1 (Hnz first n vis (fun j => kron j 0) 0%nat _ M0 _)); auto. unfold n; lia.
Qed.
Lemma t_ge1 : 1 <= t.
Proof. apply INR_ge1, (count_pos n vis i); auto. now apply Hm. Qed.

Lemma unconditional_attention r : (r < N)%nat ->
  attention_layer real nz (N + N) n (m n) [self; first] x i r
  = (kron r i + bs * Rsum_visible n vis (fun j => kron r j - kron r i))
  + (s r + bf * (noise r - (t - 1) * s r)).
Proof.
  intros Hr. destruct (Hm i Hi) as [M1 M0]. rewrite attention_layer_two. f_equal.
  - rewrite (attention_leaks nz beta _ _ _ _ _ _ i) by
      (auto; intros; apply (score_self N N); auto using unconditional_position; lia).
    assert (P : forall j, (j < n)%nat ->
      project real (N + N) (W_V self) (x j) r = kron r j).
    { intros j Hj. cbn [self unconditional_self self_head W_V]. unfold position_half.
      rewrite project_rows by fit. rewrite form_pick. apply unconditional_position; lia. }
    cbv beta zeta. rewrite P by auto. fold vis. f_equal. unfold bs. f_equal.
    apply Rsum_visible_ext. intros j Hj _. now rewrite !P by auto.
  - assert (N0 : (0 < n)%nat) by (unfold n; lia).
    rewrite (attention_leaks nz beta _ _ _ _ _ _ 0%nat) by
      (auto; intros; apply (score_position N N); auto using unconditional_position; lia).
    assert (P : forall j, (j < n)%nat ->
      project real (N + N) (W_V first) (x j) r = x j r).
    { intros j Hj. cbn [first unconditional_first position_head W_V]. unfold embedding_half.
      rewrite project_rows by fit. now rewrite form_pick. }
    cbv beta zeta. rewrite P, first_embedding by auto. fold vis. f_equal. unfold bf. f_equal.
    rewrite (Rsum_visible_out _ _ _ 0%nat) by auto.
    rewrite P, first_embedding by auto. rewrite Rminus_eq_0, Rplus_0_l.
    rewrite (Rsum_visible_ext _ _ _ (fun j => (1 - kron j 0) * x j r + (- s r) * (1 - kron j 0))).
    + rewrite Rsum_visible_plus, Rsum_visible_scal. fold (noise r).
      pose proof (Rsum_visible_out n vis (fun _ => 1) 0%nat N0 M0) as O. cbv beta in O.
      rewrite Rsum_visible_const, (Rsum_visible_ext _ _ (fun k => (1 - kron k 0) * 1) (fun k => 1 - kron k 0)) in O
        by (intros; lra).
      fold t in O. replace (Rsum_visible n vis (fun k => 1 - kron k 0)) with (t - 1) by lra. lra.
    + intros j Hj _. rewrite P by auto. lra.
Qed.
Lemma self_at_own : Rsum_visible n vis (fun j => kron i j - kron i i) = - (t - 1).
Proof.
  destruct (Hm i Hi) as [M1 _].
  rewrite (Rsum_visible_ext _ _ _ (fun j => -1 + kron j i)).
  - rewrite Rsum_visible_plus, Rsum_visible_const, (Rsum_visible_out _ _ _ i), kron_same by auto.
    rewrite (Rsum_visible_ext _ _ _ (fun _ => 0)).
    + rewrite Rsum_visible_const. unfold t. lra.
    + intros k _ _. unfold kron. destruct (k =? i)%nat; lra.
  - intros k _ _. rewrite kron_same, (kron_sym i k). lra.
Qed.
Lemma self_elsewhere r : r <> i -> 0 <= Rsum_visible n vis (fun j => kron r j - kron r i) <= t - 1.
Proof.
  intros Hr. destruct (Hm i Hi) as [M1 _]. split.
  - apply Rsum_ge0. intros k _. rewrite (kron_diff r i) by auto.
    pose proof (kron_range r k). destruct (vis k); lra.
  - rewrite <- (Rmult_1_r (t - 1)). eapply Rle_trans; [apply Rle_abs|].
    apply (Rsum_visible_bound n vis _ i); auto; [lra|].
    intros k _ _ _. rewrite (kron_diff r i) by auto. pose proof (kron_range r k).
    apply Rabs_le. lra.
Qed.
Lemma s_range k : (k < N)%nat -> 0 <= s k <= 1 - / INR V.
Proof.
  intros Hk. assert (PV : 0 < INR V) by (apply lt_0_INR; lia). unfold s. split.
  - apply Rmult_le_pos; [apply pos_INR|left; now apply Rinv_0_lt_compat].
  - pose proof (INR_pred_bound _ _ (Hy k Hk)). apply Rmult_le_reg_r with (INR V); auto.
    replace (INR (y k) / INR V * INR V) with (INR (y k)) by (field; lra).
    replace ((1 - / INR V) * INR V) with (INR V - 1) by (field; lra). auto.
Qed.

Lemma unconditional_logits v : (v < V)%nat ->
  (forall k, (k < N)%nat -> k <> i ->
     attention_layer real nz (N + N) n (m n) [self; first] x i k <= 1) ->
  logits real tf nz m p tokens i v =
  readout_logit V (Rmax 0 (s i - bs * (t - 1) + bf * (noise i - (t - 1) * s i))) v.
Proof.
  intros Hv Hk. unfold logits. cbn [prompt_size p unconditional_prompt]. fold n.
  cbn [forward blocks tf unconditional_generation]. unfold block_output. cbn [width heads layers].
  fold x. rewrite (decoder_logits V N _ i) by (auto; lia).
  rewrite unconditional_attention, self_at_own, kron_same by lia. do 2 f_equal. lra.
Qed.

(** Sufficient, for any embedding: the sum of the leaks is below half a step. *)
Lemma unconditional_decodes e :
  (forall r, (r < N)%nat -> bf * Rabs (noise r) <= e) ->
  (t - 1) * bs + (t - 1) * bf * s i + e < / (2 * INR V) ->
  decodes V (logits real tf nz m p tokens i) (y i).
Proof.
  intros He Hsum. assert (HiN : (i < N)%nat) by lia.
  destruct self_leak as [S0 S1]. destruct first_leak as [F0 F1]. pose proof t_ge1 as T1.
  destruct (s_range i HiN) as [Si0 Si1].
  assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
  assert (I : 0 < / INR V) by (now apply Rinv_0_lt_compat).
  assert (I2 : / (2 * INR V) = / INR V / 2) by (field; lra).
  assert (E0 : 0 <= e).
  { eapply Rle_trans; [|apply (He i HiN)]. apply Rmult_le_pos; [auto|apply Rabs_pos]. }
  assert (P1 : 0 <= (t - 1) * bs) by (apply Rmult_le_pos; lra).
  assert (P2 : 0 <= (t - 1) * bf) by (apply Rmult_le_pos; lra).
  assert (P3 : 0 <= (t - 1) * bf * s i) by (apply Rmult_le_pos; lra).
  assert (NB : forall r, (r < N)%nat -> - e <= bf * noise r <= e).
  { intros r Hr. specialize (He r Hr). rewrite <- (Rabs_pos_eq bf F0), <- Rabs_mult in He.
    now apply Rabs_bound. }
  eapply decodes_ext.
  { intros v Hv. symmetry. apply unconditional_logits; auto. intros k Hk Hne.
    rewrite unconditional_attention, (kron_diff k i) by auto.
    pose proof (self_elsewhere k Hne) as [K0 K1]. destruct (s_range k Hk) as [Sk0 Sk1].
    specialize (NB k Hk).
    assert (bs * Rsum_visible n vis (fun j => kron k j - kron k i) <= (t - 1) * bs).
    { rewrite (Rmult_comm (t - 1)). now apply Rmult_le_compat_l. }
    assert (0 <= (t - 1) * bf * s k) by (apply Rmult_le_pos; lra).
    rewrite (kron_diff k i) in H by auto. lra. }
  assert (Es : INR V * s i = INR (y i)) by (unfold s; field; lra).
  specialize (NB i HiN). rewrite I2 in Hsum.
  assert (EI : INR V * / INR V = 1) by (field; lra).
  apply nearest_decodes; [now apply Hy| |]; right.
  - assert (B : INR (y i) - 1 / 2 < INR V * (s i - bs * (t - 1) + bf * (noise i - (t - 1) * s i))).
    { rewrite <- Es. apply Rle_lt_trans with (INR V * (s i - / INR V / 2)).
      - replace (INR V * (s i - / INR V / 2)) with (INR V * s i - INR V * / INR V / 2) by (unfold Rdiv; ring).
        rewrite EI. lra.
      - apply Rmult_lt_compat_l; lra. }
    pose proof (Rmax_r 0 (s i - bs * (t - 1) + bf * (noise i - (t - 1) * s i))). nra.
  - apply Rle_lt_trans with (2 * INR V * (s i + e)).
    + apply Rmult_le_compat_l; [lra|]. apply Rmax_lub; lra.
    + nra.
Qed.

(** Exact, when nothing but the virtual token is embedded and both heads leak alike. *)
Lemma unconditional_decodes_iff : bs = bf -> (forall r, (r < N)%nat -> noise r = 0) ->
  (decodes V (logits real tf nz m p tokens i) (y i) <->
   y i = 0%nat \/ 2 * INR V * ((t - 1) * bs * (1 + s i)) < 1).
Proof.
  intros Eb Hz. assert (HiN : (i < N)%nat) by lia.
  destruct self_leak as [S0 S1]. pose proof t_ge1 as T1.
  destruct (s_range i HiN) as [Si0 Si1].
  assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
  assert (Es : INR V * s i = INR (y i)) by (unfold s; field; lra).
  assert (P1 : 0 <= (t - 1) * bs) by (apply Rmult_le_pos; lra).
  assert (I : 0 < / INR V) by (now apply Rinv_0_lt_compat).
  set (z := Rmax 0 (s i - (t - 1) * bs * (1 + s i))).
  assert (L : forall v, (v < V)%nat -> logits real tf nz m p tokens i v = readout_logit V z v).
  { intros v Hv. rewrite unconditional_logits; auto.
    - rewrite Hz, <- Eb by auto. unfold z. do 2 f_equal. ring.
    - intros k Hk Hne. rewrite unconditional_attention, (kron_diff k i), Hz, <- Eb by auto.
      pose proof (self_elsewhere k Hne) as [K0 K1]. destruct (s_range k Hk) as [Sk0 Sk1].
      rewrite (kron_diff k i) in K1 by auto.
      apply Rmult_le_compat_l with (r := bs) in K1; auto.
      assert (s k * (1 - (t - 1) * bs) <= 1 * (1 - (t - 1) * bs)) by (apply Rmult_le_compat_r; lra).
      lra. }
  split.
  - intros D. destruct (Nat.eq_dec (y i) 0) as [|Ny]; [now left|right].
    apply Rnot_le_lt. intros H. apply decodes_argmax in D. revert D.
    apply argmax_too_low with (z := z); auto; [lia|].
    assert (1 <= INR (y i)) by (apply INR_ge1; lia). rewrite <- Es in *.
    unfold z, Rmax. destruct (Rle_dec _ _); nra.
  - intros C. apply (decodes_ext V (readout_logit V z)).
    { intros; symmetry; auto. }
    assert (U : z <= s i) by (apply Rmax_lub; nra).
    apply nearest_decodes; [now apply Hy| |right; nra].
    destruct C as [C|C]; [now left|right].
    pose proof (Rmax_r 0 (s i - (t - 1) * bs * (1 + s i))). fold z in H. nra.
Qed.

(** What the embeddings add, when they are bounded or constant. *)
Lemma noise_bounded M : (forall v, In v tokens -> (v < V)%nat) ->
  (forall r v, (r < N)%nat -> (v < V)%nat -> Rabs (Q2R (E r v)) <= M) ->
  forall r, (r < N)%nat -> Rabs (noise r) <= (t - 1) * M.
Proof.
  intros Ht HE r Hr. destruct (Hm i Hi) as [_ M0].
  apply (Rsum_visible_bound n vis _ 0%nat); auto; [unfold n; lia|rewrite kron_same; lra|].
  intros k Hk _ Hne. rewrite kron_diff, Rminus_0_r, Rmult_1_l by auto.
  unfold x. rewrite inputs_token by (simpl; lia). apply HE; auto.
  apply Ht, nth_In. unfold n in Hk. simpl. lia.
Qed.
Lemma noise_constant c : (forall r v, E r v = c) ->
  forall r, (r < N)%nat -> noise r = (t - 1) * Q2R c.
Proof.
  intros HE r Hr. destruct (Hm i Hi) as [_ M0]. unfold noise.
  rewrite (Rsum_visible_ext _ _ _ (fun k => (1 - kron k 0) * Q2R c)).
  - pose proof (Rsum_visible_out n vis (fun _ => Q2R c) 0%nat ltac:(unfold n; lia) M0) as O.
    cbv beta in O. rewrite Rsum_visible_const in O. fold t in O. lra.
  - intros k Hk _. destruct (Nat.eq_dec k 0) as [->|K0]; [rewrite kron_same; lra|].
    unfold x. rewrite inputs_token by (simpl; lia). cbn [embedding tf unconditional_generation].
    now rewrite HE.
Qed.
End Step.

(** ** Greedy decoding *)
Lemma lengths_match y g : (prompt_size (Prompt 1 y) + length (@nil nat) + g - 1)%nat = g.
Proof. simpl. lia. Qed.
Lemma in_sequence V N y g v : sequence V N y -> (g <= N)%nat -> In v (map y (seq 0 g)) -> (v < V)%nat.
Proof. intros Hy Hg H. apply in_map_iff in H as (k & <- & Hk%in_seq). apply Hy. lia. Qed.

Lemma decodes_one f y : (y < 1)%nat -> decodes 1 f y.
Proof. intros H. split; auto. intros. lia. Qed.

(** Hardmax: any token embedding, any admissible mask. *)
Theorem unconditional_hardmax V N E y m k : sequence V N y -> admissible m -> (k <= N)%nat ->
  generate real (unconditional_generation V N E) (hardmax real) m (unconditional_prompt V y) [] k
  = map y (seq 0 k).
Proof.
  intros Hy Hm Hk. apply generate_correct. intros g Hg. unfold unconditional_prompt.
  rewrite lengths_match.
  assert (HV : (1 <= V)%nat) by (specialize (Hy g ltac:(lia)); lia).
  assert (L : length (map y (seq 0 g)) = g) by now rewrite map_length, seq_length.
  apply (unconditional_decodes V N E y HV Hy (hardmax real) _ hardmax_leaks) with (e := 0);
   rewrite ?app_nil_l, ?L; auto; try lia.
  - intros. lra.
  - assert (0 < / (2 * INR V)) by (apply Rinv_0_lt_compat; pose proof (lt_0_INR V HV); lra). lra.
Qed.

(** Softmax: what the two heads leak at length [n], in units of [x]. *)
Definition unconditional_leak (V N : nat) (T : temperature) (M : R) (n : nat) : R :=
  let c := INR n - 1 in
  c / (exp (T (unconditional_self N) n) + c)
  + c / (exp (T (unconditional_first N) n) + c) * ((INR V - 1) / INR V + M).

Lemma leak_monotone q a b : 0 < q -> 0 <= a <= b -> a / (q + a) <= b / (q + b).
Proof.
  intros Q H. apply Rmult_le_reg_r with ((q + a) * (q + b)); [nra|].
  replace (a / (q + a) * ((q + a) * (q + b))) with (a * (q + b)) by (field; lra).
  replace (b / (q + b) * ((q + a) * (q + b))) with (b * (q + a)) by (field; lra). nra.
Qed.

Definition bounded (V N : nat) (E : matrix) (M : R) : Prop :=
  forall r v, (r < N)%nat -> (v < V)%nat -> Rabs (Q2R (E r v)) <= M.

Theorem unconditional_softmax V N E M T y m k :
  bounded V N E M -> 0 <= M -> sequence V N y -> admissible m -> (k <= N)%nat ->
  V = 1%nat \/ (forall n, (1 <= n <= N)%nat -> unconditional_leak V N T M n < / (2 * INR V)) ->
  generate real (unconditional_generation V N E) (softmax T) m (unconditional_prompt V y) [] k
  = map y (seq 0 k).
Proof.
  intros HE M0 Hy Hm Hk HT. apply generate_correct. intros g Hg. unfold unconditional_prompt.
  rewrite lengths_match. destruct HT as [->|HT]; [now apply decodes_one, Hy; lia|].
  assert (Yg : (y g < V)%nat) by (apply Hy; lia). assert (HV : (1 <= V)%nat) by lia.
  assert (L : length (map y (seq 0 g)) = g) by now rewrite map_length, seq_length.
  set (n := (1 + g)%nat). set (t := INR (count n (m n g))).
  assert (T1 : 1 <= t <= INR n).
  { split; [apply INR_ge1, (count_pos n _ g); [lia|now apply Hm; lia]|apply le_INR, count_le]. }
  pose proof (exp_pos (T (unconditional_self N) n)) as Q1.
  pose proof (exp_pos (T (unconditional_first N) n)) as Q2.
  apply (unconditional_decodes V N E y HV Hy (softmax T) _ (softmax_leaks T))
    with (e := (t - 1) / (exp (T (unconditional_first N) n) + (t - 1)) * M);
   rewrite ?app_nil_l, ?L; auto; try lia; fold n t.
  - intros r Hr. unfold softmax_leak. fold t.
    replace ((t - 1) / (exp (T (unconditional_first N) n) + (t - 1)) * M)
      with (1 / (exp (T (unconditional_first N) n) + (t - 1)) * ((t - 1) * M)) by (field; lra).
    apply Rmult_le_compat_l.
    + apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. lra.
    + pose proof (noise_bounded V N E y HV m (map y (seq 0 g)) g) as B. rewrite L in B.
      fold n t in B.
      apply B; auto; try lia. intros v Hv. apply (in_sequence V N y g); auto; lia.
  - eapply Rle_lt_trans; [|apply (HT n); lia]. unfold unconditional_leak, softmax_leak. fold t.
    set (q1 := exp (T (unconditional_self N) n)) in *.
    set (q2 := exp (T (unconditional_first N) n)) in *.
    pose proof (leak_monotone q1 (t - 1) (INR n - 1) Q1 ltac:(lra)) as L1.
    pose proof (leak_monotone q2 (t - 1) (INR n - 1) Q2 ltac:(lra)) as L2.
    assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
    assert (S : INR (y g) / INR V <= (INR V - 1) / INR V).
    { apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|]. now apply INR_pred_bound. }
    assert (A0 : 0 <= (t - 1) / (q2 + (t - 1))).
    { apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. lra. }
    assert (B0 : 0 <= INR (y g) / INR V).
    { apply Rmult_le_pos; [apply pos_INR|]. left. now apply Rinv_0_lt_compat. }
    replace ((t - 1) * (1 / (q1 + (t - 1)))) with ((t - 1) / (q1 + (t - 1))) by (field; lra).
    replace ((t - 1) * (1 / (q2 + (t - 1)))) with ((t - 1) / (q2 + (t - 1))) by (field; lra).
    rewrite Rplus_assoc. apply Rplus_le_compat; [auto|].
    rewrite <- Rmult_plus_distr_l. apply Rmult_le_compat; lra.
Qed.

(** Necessary: if some length leaks too much, some sequence comes out wrong. *)
Definition last_sees_all (m : mask) : Prop := forall n j, (j < n)%nat -> m n (n - 1)%nat j = true.
Lemma causal_last : last_sees_all causal.
Proof. intros n j H. apply Nat.leb_le. lia. Qed.
Lemma full_last : last_sees_all full.
Proof. now intros n j H. Qed.

Lemma unconditional_necessary V N (M : Q) T m n :
  (2 <= V)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m -> (1 <= n <= N)%nat ->
  (forall y, sequence V N y ->
    generate real (unconditional_generation V N (fun _ _ => Qopp M)) (softmax T) m
      (unconditional_prompt V y) [] N = map y (seq 0 N)) ->
  unconditional_leak V N T (Q2R M) n < / (2 * INR V).
Proof.
  intros HV M0 Hm Hlast Hn H. apply Rnot_le_lt. intros Hbad.
  destruct n as [|g]; [lia|]. set (n := S g) in *.
  set (y := fun j : nat => if (j =? g)%nat then (V - 1)%nat else 0%nat).
  assert (Hy : sequence V N y) by (intros k _; unfold y; destruct (k =? g)%nat; lia).
  pose proof (generate_step _ _ _ _ _ y N g ltac:(lia) (H y Hy)) as G.
  unfold unconditional_prompt in G. rewrite lengths_match, app_nil_l in G.
  assert (L : length (map y (seq 0 g)) = g) by now rewrite map_length, seq_length.
  set (E := fun _ _ : nat => Qopp M) in *.
  assert (Yg : y g = (V - 1)%nat) by (unfold y; now rewrite Nat.eqb_refl).
  assert (Y0 : forall k, k <> g -> y k = 0%nat)
    by (intros k Hk; unfold y; now rewrite (proj2 (Nat.eqb_neq k g) Hk)).
  assert (C : count (1 + length (map y (seq 0 g))) (m (1 + length (map y (seq 0 g)))%nat g) = n).
  { rewrite L. apply count_all. intros j Hj. pose proof (Hlast n j Hj) as K.
    now replace (n - 1)%nat with g in K by (unfold n; lia). }
  assert (A1 : forall j, (j < 1 + length (map y (seq 0 g)))%nat ->
    m (1 + length (map y (seq 0 g)))%nat j j = true /\ m (1 + length (map y (seq 0 g)))%nat j 0%nat = true)
    by (intros; now apply Hm).
  assert (A2 : (1 + length (map y (seq 0 g)) <= N)%nat) by (rewrite L; unfold n in Hn; lia).
  assert (A3 : (g < 1 + length (map y (seq 0 g)))%nat) by (rewrite L; lia).
  pose proof (exp_pos (T (unconditional_self N) n)) as Q1.
  pose proof (exp_pos (T (unconditional_first N) n)) as Q2.
  assert (N1 : 1 <= INR n) by (apply INR_ge1; unfold n; lia).
  pose proof (unconditional_logits V N E y ltac:(lia) (softmax T) _ (softmax_leaks T) m
    (map y (seq 0 g)) g A1 A2 A3) as LG.
  pose proof (noise_constant V N E y ltac:(lia) m (map y (seq 0 g)) g A1 A2 A3 (Qopp M) ltac:(reflexivity)) as NC.
  pose proof (unconditional_attention V N E y ltac:(lia) (softmax T) _ (softmax_leaks T) m
    (map y (seq 0 g)) g A1 A2 A3) as AT.
  pose proof (self_elsewhere m (map y (seq 0 g)) g A1 A3) as SE.
  pose proof (self_leak N (softmax T) _ (softmax_leaks T) m (map y (seq 0 g)) g A1 A3) as SL.
  pose proof (first_leak V N ltac:(lia) (softmax T) _ (softmax_leaks T) m (map y (seq 0 g)) g A1 A2 A3) as FL.
  rewrite C in *. rewrite L in LG, NC, AT, SE, SL, FL. change (1 + g)%nat with n in *. unfold unconditional_leak in Hbad. unfold softmax_leak in *.
  set (q1 := exp (T (unconditional_self N) n)) in *.
  set (q2 := exp (T (unconditional_first N) n)) in *.
  set (c := INR n - 1) in *. assert (c0 : 0 <= c) by (unfold c; lra).
  set (b1 := 1 / (q1 + c)) in *. set (b2 := 1 / (q2 + c)) in *.
  replace (c / (q1 + c)) with (c * b1) in Hbad by (unfold b1; field; lra).
  replace (c / (q2 + c)) with (c * b2) in Hbad by (unfold b2; field; lra).
  assert (PV : 2 <= INR V) by (apply (le_INR 2) in HV; exact HV).
  revert G. cbn [vocab_size unconditional_generation].
  eapply argmax_too_low; [rewrite Yg; lia|rewrite Yg; lia| |].
  - intros v Hv. apply LG; auto. intros k Hk Hne. rewrite AT, NC, (kron_diff k g), Y0 by auto.
    specialize (SE k Hne). rewrite (kron_diff k g) in SE by auto.
    rewrite Q2R_opp. simpl (INR 0). unfold Rdiv. rewrite Rmult_0_l.
    assert (0 <= b2 * (c * Q2R M)) by (apply Rmult_le_pos; [lra|apply Rmult_le_pos; lra]).
    assert (b1 * Rsum_visible n (m n g) (fun j => kron k j - 0) <= b1 * c)
      by (apply Rmult_le_compat_l; lra).
    lra.
  - rewrite NC, Yg, Q2R_opp, minus_INR by lia. change (INR 1) with 1.
    apply Rmult_le_reg_r with (/ 2); [lra|].
    set (z := (INR V - 1) / INR V) in *.
    assert (Ez : INR V * z = INR V - 1) by (unfold z; field; lra).
    assert (Hb2 : 1 / 2 <= INR V * (c * b1 + c * b2 * (z + Q2R M))).
    { apply Rmult_le_reg_l with (2 * / (2 * INR V)).
      - apply Rmult_lt_0_compat; [lra|apply Rinv_0_lt_compat; lra].
      - replace (2 * / (2 * INR V) * (1 / 2)) with (/ (2 * INR V)) by (field; lra).
        replace (2 * / (2 * INR V) * (INR V * (c * b1 + c * b2 * (z + Q2R M))))
          with (c * b1 + c * b2 * (z + Q2R M)) by (field; lra). auto. }
    unfold Rmax. destruct (Rle_dec _ _); [|lra].
    replace (2 * INR V * (z - b1 * c + b2 * (c * - Q2R M - c * z)) * / 2)
      with (INR V * z - INR V * (c * b1 + c * b2 * (z + Q2R M))) by field. lra.
Qed.
