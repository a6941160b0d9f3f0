(** * Longer responses over the reals: one user token, [K] answer tokens *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding
  UnconditionalGeneration.
Import ListNotations.
Open Scope R_scope.

(** The answers: [map g x] is the [g]-th token of the answer to [x]. *)
Definition responses (V K : nat) (map : nat -> nat -> nat) : Prop :=
  forall g x, (g < K)%nat -> (x < V)%nat -> (map g x < V)%nat.

(** A position sees the user's token, and the virtual token [K] positions back. *)
Definition sees_prompt (K : nat) (m : mask) : Prop :=
  forall n i, (K <= i)%nat -> (i < n)%nat -> m n i (i - K)%nat = true /\ m n i K = true.
Lemma sees_prompt_causal K : sees_prompt K causal.
Proof. intros n i H1 H2. unfold causal. split; apply Nat.leb_le; lia. Qed.
Lemma sees_prompt_full K : sees_prompt K full.
Proof. now intros n i H1 H2. Qed.

Section Step.
Variables (V K : nat) (map : nat -> nat -> nat) (token : nat) (tokens : list nat).
Hypothesis Hmap : responses V K map.
Hypothesis Htoken : (token < V)%nat.
Let g := length tokens.
Hypothesis Hg : (g < K)%nat.
Variables (nz : normaliser R) (beta : leak) (m : mask).
Hypothesis Hnz : leaks nz beta.
Hypothesis Hm : sees_prompt K m.
Let tf := longer_responses V K.
Let p := longer_responses_prompt V K map.
Let x := inputs real tf p (token :: tokens).
Let n := (K + S g)%nat.
Let i := (K + g)%nat.
Let vis := m n i.
Let t := INR (count n vis).
Let b1 := beta (longer_responses_back V K) n (count n vis).
Let b2 := beta (longer_responses_user V K) n (count n vis).
Let s (r : nat) : R := INR (map g r) / INR V.
(** Everything visible besides the right virtual token and the user's token. *)
Let rest (r : nat) : R :=
  Rsum_visible n vis (fun j => (1 - kron j g) * ((1 - kron j K) * x j r)).

Lemma seen : vis g = true /\ vis K = true.
Proof.
  destruct (Hm n i ltac:(unfold i; lia) ltac:(unfold i, n; lia)) as [A B].
  replace (i - K)%nat with g in A by (unfold i; lia). auto.
Qed.
Lemma t_ge2 : 2 <= t.
Proof.
  destruct seen. change 2 with (INR 2). apply le_INR, (count_two n vis g K); auto; unfold n; lia.
Qed.
Lemma back_leak_range : 0 <= b1 /\ (t - 1) * b1 <= 1.
Proof.
  refine (proj1 (Hnz (longer_responses_back V K) n vis (fun j => kron j g) g _ _ _)); auto.
  - unfold n; lia.
  - apply seen.
Qed.

Lemma responses_position k r : (k < K + K)%nat -> (r < K + K)%nat -> x k (V + r)%nat = kron r k.
Proof. intros. unfold x. change V with (embedding_dim tf). now apply inputs_position. Qed.
Lemma responses_virtual k r : (k < K)%nat -> (r < V)%nat -> x k r = INR (map k r) / INR V.
Proof. intros. unfold x. rewrite inputs_virtual by (simpl; lia). apply Q2R_fraction. lia. Qed.
Lemma responses_token k r : (K <= k)%nat -> (r < V)%nat ->
  x k r = kron r (nth (k - K) (token :: tokens) 0%nat).
Proof. intros. unfold x. rewrite inputs_token by (simpl; lia). apply Q2R_identity. Qed.
Lemma responses_range k r : (r < V)%nat -> 0 <= x k r <= 1.
Proof.
  intros Hr. destruct (Nat.lt_ge_cases k K) as [C|C].
  - rewrite responses_virtual by auto. assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
    pose proof (INR_pred_bound _ _ (Hmap k r C Hr)). split.
    + apply Rmult_le_pos; [apply pos_INR|left; now apply Rinv_0_lt_compat].
    + apply Rmult_le_reg_r with (INR V); auto.
      replace (INR (map k r) / INR V * INR V) with (INR (map k r)) by (field; lra). lra.
  - rewrite responses_token by auto. apply kron_range.
Qed.
Lemma responses_sum r : (r < V)%nat ->
  Rsum_visible n vis (fun j => x j r) = s r + kron r token + rest r.
Proof.
  intros Hr. destruct seen as [S1 S2].
  rewrite (Rsum_visible_out _ _ _ g) by (auto; unfold n; lia).
  rewrite (Rsum_visible_out _ _ _ K) by (auto; unfold n; lia).
  rewrite kron_diff, Rminus_0_r, Rmult_1_l by lia.
  rewrite responses_virtual, responses_token by auto. rewrite Nat.sub_diag. cbn [nth].
  rewrite (Rsum_visible_ext _ _ _ (fun j => (1 - kron j g) * ((1 - kron j K) * x j r)))
    by (intros; ring). fold (rest r). unfold s. lra.
Qed.
Lemma rest_range r : (r < V)%nat -> 0 <= rest r <= t - 2.
Proof.
  intros Hr. destruct seen as [S1 S2]. split.
  - apply Rsum_ge0. intros k _. pose proof (responses_range k r Hr).
    pose proof (kron_range k g). pose proof (kron_range k K).
    destruct (vis k); [|lra]. apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; lra.
  - assert (C : t - 2 = Rsum_visible n vis (fun j => (1 - kron j g) * ((1 - kron j K) * 1))).
    { pose proof (Rsum_visible_out n vis (fun _ => 1) g ltac:(unfold n; lia) S1) as O1.
      cbv beta in O1.
      rewrite (Rsum_visible_out _ _ (fun k => (1 - kron k g) * 1) K) in O1 by (auto; unfold n; lia).
      rewrite Rsum_visible_const, kron_diff in O1 by lia. fold t in O1.
      rewrite (Rsum_visible_ext _ _ _ (fun j => (1 - kron j g) * ((1 - kron j K) * 1))) in O1
        by (intros; ring). lra. }
    rewrite C. apply Rsum_visible_le. intros k _ _.
    pose proof (responses_range k r Hr). pose proof (kron_range k g). pose proof (kron_range k K).
    apply Rmult_le_compat_l; [lra|]. apply Rmult_le_compat_l; lra.
Qed.

Lemma responses_attention r : (r < V)%nat ->
  attention_layer real nz (V + (K + K)) n (m n)
    [longer_responses_back V K; longer_responses_user V K] x i r
  = s r + b1 * (rest r + kron r token - (t - 1) * s r)
  + (kron r token + b2 * (rest r + s r - (t - 1) * kron r token)).
Proof.
  intros Hr. destruct seen as [S1 S2]. rewrite attention_layer_two.
  assert (Gn : (g < n)%nat) by (unfold n; lia). assert (Kn : (K < n)%nat) by (unfold n; lia).
  assert (nKK : (n <= K + K)%nat) by (unfold n; lia).
  assert (P : forall h j, W_V h = embedding_half -> (j < n)%nat ->
    project real (V + (K + K)) (W_V h) (x j) r = x j r).
  { intros h j -> Hj. unfold embedding_half. rewrite project_rows by fit. now rewrite form_pick. }
  assert (Sum : forall h a, W_V h = embedding_half -> (a < n)%nat ->
    Rsum_visible n vis (fun j => project real (V + (K + K)) (W_V h) (x j) r
      - project real (V + (K + K)) (W_V h) (x a) r)
    = s r + kron r token + rest r - t * x a r).
  { intros h a Hh Ha. rewrite (Rsum_visible_ext _ _ _ (fun j => x j r + - x a r)).
    - rewrite Rsum_visible_plus, Rsum_visible_const, responses_sum by auto. fold t. lra.
    - intros j Hj _. rewrite !P by auto. lra. }
  rewrite (attention_leaks nz beta _ _ _ (longer_responses_back V K) _ _ g); auto.
  2:{ intros j Hj. replace g with (i - K)%nat at 1 by (unfold i; lia).
      apply (score_back V (K + K)); try (unfold i; lia). intros; now apply responses_position. }
  rewrite (attention_leaks nz beta _ _ _ (longer_responses_user V K) _ _ K); auto.
  2:{ intros j Hj. apply (score_position V (K + K)); try (unfold i; lia).
      intros; now apply responses_position. }
  cbv beta zeta. fold vis b1 b2. rewrite !Sum by auto. rewrite !P by auto.
  rewrite responses_virtual, responses_token by auto. rewrite Nat.sub_diag. cbn [nth].
  fold (s r). ring.
Qed.

Lemma response_value r : (r < V)%nat -> 0 <= s r <= 1 - / INR V.
Proof.
  intros Hr. assert (PV : 0 < INR V) by (apply lt_0_INR; lia). unfold s. split.
  - apply Rmult_le_pos; [apply pos_INR|left; now apply Rinv_0_lt_compat].
  - pose proof (INR_pred_bound _ _ (Hmap g r Hg Hr)). apply Rmult_le_reg_r with (INR V); auto.
    replace (INR (map g r) / INR V * INR V) with (INR (map g r)) by (field; lra).
    replace ((1 - / INR V) * INR V) with (INR V - 1) by (field; lra). auto.
Qed.

Lemma responses_logits v : (v < V)%nat -> b1 = b2 ->
  (forall r, (r < V)%nat -> r <> token -> s r * (1 - (t - 2) * b1) + 2 * b1 * rest r <= 1) ->
  logits real tf nz m p (token :: tokens) i v =
  readout_logit V (Rmax 0 ((1 + s token) * (1 - (t - 2) * b1) + 2 * b1 * rest token - 1)) v.
Proof.
  intros Hv Eb Hr. unfold logits. cbn [prompt_size p longer_responses_prompt length].
  fold g n. cbn [forward blocks tf longer_responses]. unfold block_output.
  cbn [width heads layers]. fold x.
  rewrite (decoder_logits V V _ token) by
    (auto; intros r Hr' Hne; rewrite responses_attention, (kron_diff r token), <- Eb by auto;
     specialize (Hr r Hr' Hne); lra).
  rewrite responses_attention, kron_same, <- Eb by auto. do 2 f_equal. ring.
Qed.

(** Sufficient: the prompt and the answers so far disturb less than half a step. *)
Lemma responses_decodes : b1 = b2 -> 2 * INR V * ((t - 2) * b1 * (1 + s token)) < 1 ->
  decodes V (logits real tf nz m p (token :: tokens) i) (map g token).
Proof.
  intros Eb Hu. destruct back_leak_range as [B0 _]. pose proof t_ge2 as T2.
  assert (PV : 1 <= INR V) by (apply INR_ge1; lia).
  destruct (response_value token Htoken) as [S0 S1].
  assert (I : 0 < / INR V) by (apply Rinv_0_lt_compat; lra).
  assert (EI : INR V * / INR V = 1) by (field; lra).
  set (u := (t - 2) * b1) in *. assert (U0 : 0 <= u) by (apply Rmult_le_pos; lra).
  assert (UV : 2 * INR V * u < 1) by nra.
  assert (RB : forall r, (r < V)%nat -> 0 <= 2 * b1 * rest r <= 2 * u).
  { intros r Hr. destruct (rest_range r Hr) as [R0 R1]. unfold u. nra. }
  eapply decodes_ext.
  { intros v Hv. symmetry. apply responses_logits; auto. intros r Hr Hne. fold u.
    destruct (RB r Hr) as [_ R1]. destruct (response_value r Hr) as [C0 C1].
    apply Rle_trans with ((1 - / INR V) * (1 - u) + 2 * u).
    - apply Rplus_le_compat; auto. apply Rmult_le_compat_r; auto. nra.
    - apply Rmult_le_reg_l with (INR V); [lra|].
      replace (INR V * ((1 - / INR V) * (1 - u) + 2 * u))
        with (INR V - INR V * / INR V + INR V * u + u * (INR V * / INR V)) by ring.
      rewrite EI. nra. }
  assert (Es : INR V * s token = INR (map g token)) by (unfold s; field; lra).
  fold u. destruct (RB token Htoken) as [R0 R1].
  set (z := (1 + s token) * (1 - u) + 2 * b1 * rest token - 1).
  assert (Z0 : s token - u * (1 + s token) <= z) by (unfold z; nra).
  assert (Z1 : z <= s token + u * (1 - s token)) by (unfold z; nra).
  apply nearest_decodes; [now apply Hmap|right|right].
  - pose proof (Rmax_r 0 z). nra.
  - apply Rle_lt_trans with (2 * INR V * (s token + u * (1 - s token))).
    + apply Rmult_le_compat_l; [lra|]. apply Rmax_lub; [|auto]. nra.
    + nra.
Qed.
End Step.

(** ** Greedy decoding *)
Lemma response_index K g : (K + 1 + g - 1 = K + g)%nat. Proof. lia. Qed.

Theorem longer_responses_decode V K map token m k : responses V K map -> (token < V)%nat ->
  sees_prompt K m -> (k <= K)%nat ->
  forall nz beta, leaks nz beta ->
  (forall g, (g < k)%nat -> let n := (K + S g)%nat in let t := count n (m n (K + g)%nat) in
     beta (longer_responses_back V K) n t = beta (longer_responses_user V K) n t /\
     (INR t - 2) * beta (longer_responses_back V K) n t * (4 * INR V - 2) < 1) ->
  generate real (longer_responses V K) nz m (longer_responses_prompt V K map) [token] k
  = List.map (fun g => map g token) (seq 0 k).
Proof.
  intros Hmap Ht Hm Hk nz beta Hnz H. apply generate_correct. intros g Hg.
  cbn [prompt_size longer_responses_prompt length vocab_size longer_responses app].
  rewrite response_index. set (ys := List.map _ _).
  assert (L : length ys = g) by (unfold ys; now rewrite map_length, seq_length).
  specialize (H g Hg). rewrite <- L in H |- *. cbv zeta in H. destruct H as [Eb Hu].
  apply (responses_decodes V K map token ys Hmap Ht ltac:(lia) nz beta m Hnz Hm Eb).
  eapply Rle_lt_trans; [|exact Hu].
  set (n := (K + S (length ys))%nat) in *. set (i := (K + length ys)%nat) in *.
  pose proof (t_ge2 V K token ys Ht ltac:(lia) m Hm) as T2. fold n i in T2.
  destruct (back_leak_range V K token ys Ht ltac:(lia) nz beta m Hnz Hm) as [B0 _]. fold n i in B0.
  assert (PV : 1 <= INR V) by (apply INR_ge1; lia).
  pose proof (INR_pred_bound _ _ (Hmap (length ys) token ltac:(lia) Ht)) as B.
  set (a := (INR (count n (m n i)) - 2) * beta _ n _) in *.
  assert (A0 : 0 <= a) by (apply Rmult_le_pos; lra).
  replace (2 * INR V * (a * (1 + INR (map (length ys) token) / INR V)))
    with (a * (2 * (INR V + INR (map (length ys) token)))) by (field; lra).
  apply Rmult_le_compat_l; lra.
Qed.

Theorem longer_responses_hardmax_all V K map token m : responses V K map -> (token < V)%nat ->
  sees_prompt K m ->
  generate real (longer_responses V K) (hardmax real) m (longer_responses_prompt V K map) [token] K
  = List.map (fun g => map g token) (seq 0 K).
Proof.
  intros Hmap Ht Hm. eapply longer_responses_decode; eauto using hardmax_leaks.
  intros g _. cbv beta zeta. split; [reflexivity|lra].
Qed.

Theorem longer_responses_softmax_sufficient V K map token m tau : responses V K map ->
  (token < V)%nat -> sees_prompt K m ->
  (4 * INR V - 3) * (2 * INR K - 2) - 1 < exp tau ->
  generate real (longer_responses V K) (softmax (fun _ _ => tau)) m
    (longer_responses_prompt V K map) [token] K
  = List.map (fun g => map g token) (seq 0 K).
Proof.
  intros Hmap Ht Hm Hq. eapply longer_responses_decode; eauto using softmax_leaks.
  intros g Hg. cbv zeta. split; [reflexivity|]. unfold softmax_leak.
  set (n := (K + S g)%nat). set (t := INR (count n (m n (K + g)%nat))).
  set (q := exp tau) in *. pose proof (exp_pos tau) as Q. fold q in Q.
  assert (PV : 1 <= INR V) by (apply INR_ge1; lia).
  destruct (Hm n (K + g)%nat ltac:(lia) ltac:(unfold n; lia)) as [S1 S2].
  replace (K + g - K)%nat with g in S1 by lia.
  assert (T2 : 2 <= t).
  { change 2 with (INR 2). apply le_INR, (count_two n _ g K); auto; unfold n; lia. }
  assert (TK : t <= 2 * INR K).
  { apply Rle_trans with (INR n); [apply le_INR, count_le|].
    replace (2 * INR K) with (INR (K + K)) by (rewrite plus_INR; ring).
    apply le_INR. unfold n. lia. }
  apply Rmult_lt_reg_r with (q + (t - 1)); [lra|].
  replace ((t - 2) * (1 / (q + (t - 1))) * (4 * INR V - 2) * (q + (t - 1)))
    with ((t - 2) * (4 * INR V - 2)) by (field; lra).
  assert ((t - 2) * (4 * INR V - 3) <= (2 * INR K - 2) * (4 * INR V - 3))
    by (apply Rmult_le_compat_r; lra). nra.
Qed.

(** Exact: below the threshold a map is answered wrongly. *)
Theorem longer_responses_softmax_exact V K m tau : (2 <= V)%nat -> (1 <= K)%nat ->
  sees_prompt K m -> last_sees_all m ->
  ((forall map token, responses V K map -> (token < V)%nat ->
     generate real (longer_responses V K) (softmax (fun _ _ => tau)) m
       (longer_responses_prompt V K map) [token] K = List.map (fun g => map g token) (seq 0 K))
   <-> (4 * INR V - 3) * (2 * INR K - 2) - 1 < exp tau).
Proof.
  intros HV HK Hm Hl. split.
  2:{ intros Hq map token Hmap Ht. now apply longer_responses_softmax_sufficient. }
  intros H. apply Rnot_le_lt. intros Hq.
  set (g := (K - 1)%nat). set (X := (V - 1)%nat).
  set (map := fun p x : nat => if ((p =? g) && (x =? X))%nat%bool then X else 0%nat).
  assert (Hmap : responses V K map).
  { intros p x _ _. unfold map. destruct (_ && _); unfold X; lia. }
  assert (M1 : map g X = X) by (unfold map; now rewrite !Nat.eqb_refl).
  assert (M0 : forall p x, p <> g \/ x <> X -> map p x = 0%nat).
  { intros p x C. unfold map. destruct (Nat.eqb_spec p g), (Nat.eqb_spec x X); simpl; auto; lia. }
  pose proof (H map X Hmap ltac:(unfold X; lia)) as G.
  apply generate_step with (g := g) in G; [|unfold g; lia]. revert G. rewrite M1.
  cbn [prompt_size longer_responses_prompt length vocab_size longer_responses app].
  rewrite response_index. set (ys := List.map _ _).
  assert (L : length ys = g) by (unfold ys; now rewrite map_length, seq_length).
  assert (Y0 : forall k, (k < g)%nat -> nth k ys 0%nat = 0%nat).
  { intros k Hk. unfold ys. rewrite nth_indep with (d' := map 0%nat X) by (rewrite map_length, seq_length; auto).
    rewrite (map_nth (fun g => map g X)), seq_nth by auto. apply M0. lia. }
  assert (C : count (K + S (length ys)) (m (K + S (length ys))%nat (K + length ys)%nat) = (K + K)%nat).
  { rewrite count_all; [rewrite L; unfold g; lia|]. intros j Hj.
    pose proof (Hl (K + S (length ys))%nat j Hj) as S1.
    now replace (K + S (length ys) - 1)%nat with (K + length ys)%nat in S1 by lia. }
  pose proof (responses_logits V K map X ys ltac:(unfold X; lia) ltac:(unfold g in *; lia)
    _ _ m (softmax_leaks (fun _ _ => tau)) Hm) as LG.
  rewrite C, L, M1 in LG. unfold softmax_leak in LG. cbn [Nat.add] in LG.
  set (q := exp tau) in *. pose proof (exp_pos tau) as Q. fold q in Q.
  set (k2 := INR (K + K)) in *.
  assert (K2 : k2 = 2 * INR K) by (unfold k2; rewrite plus_INR; ring).
  pose proof (INR_ge1 K HK) as K1.
  assert (V2 : 2 <= INR V) by (apply (le_INR 2) in HV; exact HV).
  set (b := 1 / (q + (k2 - 1))) in *.
  assert (Eb : b * (q + (k2 - 1)) = 1) by (unfold b; field; lra).
  assert (B0 : 0 < b) by (unfold b; apply Rmult_lt_0_compat; [lra|apply Rinv_0_lt_compat; lra]).
  set (n := (K + S g)%nat) in *. assert (nKK : n = (K + K)%nat) by (unfold n, g; lia).
  set (x := inputs real _ _ _) in LG.
  set (rest := fun r => Rsum_visible n (m n (K + g)%nat)
    (fun j => (1 - kron j g) * ((1 - kron j K) * x j r))).
  assert (R1 : rest X = 0).
  { apply Rsum_0. intros j Hj. destruct (m n (K + g)%nat j); auto.
    destruct (Nat.lt_ge_cases j K) as [J|J].
    - destruct (Nat.eq_dec j g) as [->|Ng]; [rewrite kron_same; lra|].
      unfold x. rewrite (responses_virtual V K) by (auto; unfold X, g in *; lia). rewrite M0 by auto.
      simpl (INR 0). unfold Rdiv. lra.
    - destruct (Nat.eq_dec j K) as [->|NK]; [rewrite (kron_same K); lra|].
      unfold x. rewrite (responses_token V K) by (auto; unfold X, g in *; lia).
      replace (j - K)%nat with (S (j - K - 1)) by lia. cbn [nth].
      rewrite Y0 by (unfold g, n in *; lia). rewrite (kron_diff X) by (unfold X; lia). lra. }
  assert (R2 : forall r, (r < V)%nat -> r <> X -> rest r <= INR K - 1).
  { intros r Hr Hne. unfold rest, Rsum_visible. rewrite nKK, Rsum_split, Rsum_0, Rplus_0_l.
    - replace (INR K - 1) with (Rsum K (fun k => 1 + - kron k 0)).
      + apply Rsum_le. intros k Hk. destruct (m (K + K)%nat (K + g)%nat (K + k)%nat).
        * rewrite (kron_diff (K + k) g) by (unfold g; lia). rewrite Rminus_0_r, Rmult_1_l.
          replace (kron (K + k) K) with (kron k 0).
          2:{ unfold kron. destruct (Nat.eqb_spec k 0), (Nat.eqb_spec (K + k) K); auto; lia. }
          pose proof (responses_range V K map X ys Hmap ltac:(unfold X; lia) ltac:(unfold g in *; lia) (K + k) r Hr) as XR. fold x in XR.
          pose proof (kron_range k 0). nra.
        * pose proof (kron_range k 0). lra.
      + rewrite Rsum_plus, Rsum_const, (Rsum_single K 0), kron_same; auto; [lra|].
        intros. rewrite kron_diff by auto. lra.
    - intros j Hj. destruct (m (K + K)%nat (K + g)%nat j); auto.
      unfold x. rewrite (responses_virtual V K) by (auto; unfold X, g in *; lia). rewrite M0 by auto.
      simpl (INR 0). unfold Rdiv. lra. }
  assert (Low : forall r, (r < V)%nat -> r <> X ->
    INR (map g r) / INR V * (1 - (k2 - 2) * b) + 2 * b * rest r <= 1).
  { intros r Hr Hne. rewrite M0 by auto. simpl (INR 0). unfold Rdiv. rewrite Rmult_0_l, Rmult_0_l.
    specialize (R2 r Hr Hne). rewrite K2 in Eb. nra. }
  eapply argmax_too_low; try (unfold X; lia).
  - intros v Hv. apply LG; auto.
  - change (Rsum_visible _ _ _) with (rest X). rewrite R1.
    assert (EX : INR X = INR V - 1) by (unfold X; rewrite minus_INR by lia; reflexivity).
    rewrite EX. set (s := (INR V - 1) / INR V).
    assert (Es : INR V * s = INR V - 1) by (unfold s; field; lra).
    assert (Hb : 1 <= (2 * INR V - 1) * 2 * ((k2 - 2) * b)).
    { apply Rmult_le_reg_r with (q + (k2 - 1)); [lra|].
      replace ((2 * INR V - 1) * 2 * ((k2 - 2) * b) * (q + (k2 - 1)))
        with ((2 * INR V - 1) * 2 * (k2 - 2) * (b * (q + (k2 - 1)))) by ring.
      rewrite Eb, K2. nra. }
    set (z := (1 + s) * (1 - (k2 - 2) * b) + 2 * b * 0 - 1).
    assert (Ez : 2 * INR V * z = 2 * (INR V - 1) - 2 * ((k2 - 2) * b) * (2 * INR V - 1)).
    { unfold z. replace (2 * INR V * ((1 + s) * (1 - (k2 - 2) * b) + 2 * b * 0 - 1))
        with (2 * (INR V * s) - 2 * ((k2 - 2) * b) * (INR V + INR V * s)) by ring.
      rewrite Es. ring. }
    unfold Rmax. destruct (Rle_dec 0 z); lra.
Qed.
