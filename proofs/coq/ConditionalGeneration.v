(** * Theorem 2 over the reals: any map of one token to one token

    With exactly two visible keys the two heads leak into each other: at equal
    temperatures the leaks cancel, so every temperature is good. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding
  UnconditionalGeneration.
Import ListNotations.
Open Scope R_scope.

Section Step.
Variables (V : nat) (map : nat -> nat) (token : nat).
Hypothesis Hmap : sequence V V map.
Hypothesis Htoken : (token < V)%nat.
Variables (nz : normaliser R) (beta : leak) (m : mask).
Hypothesis Hnz : leaks nz beta.
Hypothesis Hm : admissible m.
Let tf := conditional_generation V.
Let p := conditional_prompt V map.
Let x := inputs real tf p [token].
Let s (k : nat) : R := INR (map k) / INR V.
Let bs := beta (conditional_self V) 2%nat 2%nat.
Let bf := beta (conditional_first V) 2%nat 2%nat.
Let delta := bs - bf.

Lemma conditional_visible : count 2 (m 2%nat 1%nat) = 2%nat.
Proof.
  destruct (Hm 2%nat 1%nat ltac:(lia)) as [M1 M0]. cbn [count]. now rewrite M0, M1.
Qed.
Lemma conditional_position k r : (k < 2)%nat -> (r < 2)%nat -> x k (V + r)%nat = kron r k.
Proof. intros. unfold x. change V with (embedding_dim tf). now apply inputs_position. Qed.
Lemma conditional_virtual r : (r < V)%nat -> x 0%nat r = s r.
Proof. intros. unfold x. rewrite inputs_virtual by (simpl; lia). apply Q2R_fraction. lia. Qed.
Lemma conditional_user r : (r < V)%nat -> x 1%nat r = kron r token.
Proof. intros. unfold x. rewrite inputs_token by (simpl; lia). apply Q2R_identity. Qed.

Lemma conditional_attention r : (r < V)%nat ->
  attention_layer real nz (V + 2) 2 (m 2%nat) [conditional_self V; conditional_first V] x 1 r
  = kron r token + s r + delta * (s r - kron r token).
Proof.
  intros Hr. destruct (Hm 2%nat 1%nat ltac:(lia)) as [M1 M0]. rewrite attention_layer_two.
  rewrite (attention_leaks nz beta _ _ _ (conditional_self V) _ _ 1%nat) by
    (auto; intros; apply (score_self V 2); auto using conditional_position; lia).
  rewrite (attention_leaks nz beta _ _ _ (conditional_first V) _ _ 0%nat) by
    (auto; intros; apply (score_position V 2); auto using conditional_position; lia).
  cbv beta zeta. rewrite conditional_visible. fold bs bf.
  cbn [W_V conditional_self conditional_first self_head position_head].
  unfold embedding_half. unfold Rsum_visible. cbn [Rsum]. rewrite M0, M1.
  rewrite !project_rows by fit. rewrite !form_pick.
  rewrite conditional_virtual, conditional_user by auto. unfold delta. lra.
Qed.

Lemma s_bounds k : (k < V)%nat -> 0 <= s k <= 1 - / INR V.
Proof.
  intros Hk. pose proof (Hmap k Hk) as B. assert (PV : 0 < INR V) by (apply lt_0_INR; lia).
  unfold s. split.
  - apply Rmult_le_pos; [apply pos_INR|left; now apply Rinv_0_lt_compat].
  - pose proof (INR_pred_bound _ _ B). apply Rmult_le_reg_r with (INR V); auto.
    replace (INR (map k) / INR V * INR V) with (INR (map k)) by (field; lra).
    replace ((1 - / INR V) * INR V) with (INR V - 1) by (field; lra). auto.
Qed.

Lemma conditional_logits v : (v < V)%nat ->
  (forall k, (k < V)%nat -> k <> token -> (1 + delta) * s k <= 1) ->
  logits real tf nz m p [token] 1 v =
  readout_logit V (Rmax 0 (s token - delta * (1 - s token))) v.
Proof.
  intros Hv Hk. unfold logits. cbn [prompt_size p conditional_prompt length Nat.add].
  cbn [forward blocks tf conditional_generation]. unfold block_output. cbn [width heads layers].
  fold x. rewrite (decoder_logits V V _ token) by
    (auto; intros k Hk' Hne; rewrite conditional_attention, (kron_diff k token) by auto;
     specialize (Hk k Hk' Hne); lra).
  rewrite conditional_attention, kron_same by auto. do 2 f_equal. lra.
Qed.

(** Sufficient: [-1/(2V) < delta < 1/(2(V-1))]. *)
Lemma conditional_decodes : - 1 < 2 * INR V * delta -> 2 * (INR V - 1) * delta < 1 ->
  decodes V (logits real tf nz m p [token] 1) (map token).
Proof.
  intros L U. assert (PV : 1 <= INR V) by (apply INR_ge1; lia).
  assert (I : 0 < / INR V) by (apply Rinv_0_lt_compat; lra).
  assert (EI : INR V * / INR V = 1) by (field; lra).
  assert (Es : INR V * s token = INR (map token)) by (unfold s; field; lra).
  destruct (s_bounds token Htoken) as [B0 B1].
  assert (B2 : INR (map token) <= INR V - 1) by (apply INR_pred_bound, Hmap, Htoken).
  eapply decodes_ext.
  { intros v Hv. symmetry. apply conditional_logits; auto. intros k Hk _.
    destruct (s_bounds k Hk) as [C0 C1].
    apply Rmult_le_reg_l with (INR V); [lra|].
    assert (INR V * s k <= INR V - 1) by nra. assert (0 <= INR V * s k) by nra.
    destruct (Rle_dec delta 0) as [D|D]; nra. }
  set (z := s token - delta * (1 - s token)).
  assert (Ez : INR V * z = INR (map token) - delta * (INR V - INR (map token))).
  { unfold z. rewrite <- Es. ring. }
  apply nearest_decodes; [now apply Hmap| |].
  - destruct (Nat.eq_dec (map token) 0) as [|N0]; [now left|right].
    assert (1 <= INR (map token)) by (apply INR_ge1; lia). pose proof (Rmax_r 0 z).
    destruct (Rle_dec delta 0) as [D|D]; nra.
  - right. unfold Rmax. destruct (Rle_dec 0 z); [|pose proof (pos_INR (map token)); lra].
    pose proof (pos_INR (map token)).
    destruct (Rle_dec delta 0) as [D|D]; [|nra].
    assert (- delta * (INR V - INR (map token)) <= - delta * INR V)
      by (apply Rmult_le_compat_l; lra). lra.
Qed.
End Step.

Lemma identical_leak (V : nat) (T : R) : softmax_leak (fun _ _ => T) (conditional_self V) 2%nat 2%nat
  - softmax_leak (fun _ _ => T) (conditional_first V) 2%nat 2%nat = 0.
Proof. unfold softmax_leak. lra. Qed.

Lemma generate_answer tf nz m p user y :
  decodes (vocab_size tf) (logits real tf nz m p user (prompt_size p + length user - 1)) y ->
  generate real tf nz m p user 1 = [y].
Proof.
  intros H. cbn [generate]. rewrite app_nil_r, Nat.add_0_r.
  now rewrite (decodes_argmax _ _ _ H).
Qed.

Theorem conditional_hardmax V map x m : sequence V V map -> (x < V)%nat -> admissible m ->
  generate real (conditional_generation V) (hardmax real) m (conditional_prompt V map) [x] 1
  = [map x].
Proof.
  intros Hmap Hx Hm. apply generate_answer. cbn [prompt_size conditional_prompt length Nat.add Nat.sub].
  apply (conditional_decodes V map x Hmap Hx _ _ m hardmax_leaks Hm); lra.
Qed.
(** Every temperature, the same in both heads: zero and negative ones too. *)
Theorem conditional_softmax V map x tau m : sequence V V map -> (x < V)%nat -> admissible m ->
  generate real (conditional_generation V) (softmax (fun _ _ => tau)) m
    (conditional_prompt V map) [x] 1 = [map x].
Proof.
  intros Hmap Hx Hm. apply generate_answer. cbn [prompt_size conditional_prompt length Nat.add Nat.sub].
  apply (conditional_decodes V map x Hmap Hx _ _ m (softmax_leaks _) Hm);
  rewrite identical_leak; lra.
Qed.
(** A temperature per head: exact criterion. *)
Theorem conditional_softmax_iff V T m : (2 <= V)%nat -> admissible m ->
  let delta := 1 / (1 + exp (T (conditional_self V) 2%nat))
             - 1 / (1 + exp (T (conditional_first V) 2%nat)) in
  (forall map x, sequence V V map -> (x < V)%nat ->
     decodes V (logits real (conditional_generation V) (softmax T) m
       (conditional_prompt V map) [x] 1) (map x))
  <-> - (1) / (2 * INR V) < delta < 1 / (2 * (INR V - 1)).
Proof.
  intros HV Hm delta. assert (V2 : 2 <= INR V) by (apply (le_INR 2) in HV; exact HV).
  set (d := softmax_leak T (conditional_self V) 2%nat 2%nat
    - softmax_leak T (conditional_first V) 2%nat 2%nat).
  assert (Ed : d = delta).
  { unfold d, delta, softmax_leak. simpl (INR 2).
    now replace (1 + 1 - 1) with 1 by lra; rewrite !(Rplus_comm 1). }
  assert (Lower : - (1) / (2 * INR V) < delta <-> - 1 < 2 * INR V * d).
  { rewrite Ed. split; intros H.
    - apply Rmult_lt_compat_l with (r := 2 * INR V) in H; [|lra].
      replace (2 * INR V * (- (1) / (2 * INR V))) with (-1) in H by (field; lra). lra.
    - apply Rmult_lt_reg_l with (2 * INR V); [lra|].
      replace (2 * INR V * (- (1) / (2 * INR V))) with (-1) by (field; lra). lra. }
  assert (Upper : delta < 1 / (2 * (INR V - 1)) <-> 2 * (INR V - 1) * d < 1).
  { rewrite Ed. split; intros H.
    - apply Rmult_lt_compat_l with (r := 2 * (INR V - 1)) in H; [|lra].
      replace (2 * (INR V - 1) * (1 / (2 * (INR V - 1)))) with 1 in H by (field; lra). lra.
    - apply Rmult_lt_reg_l with (2 * (INR V - 1)); [lra|].
      replace (2 * (INR V - 1) * (1 / (2 * (INR V - 1)))) with 1 by (field; lra). lra. }
  rewrite Lower, Upper. split.
  2:{ intros [L U] map x Hmap Hx.
      now apply (conditional_decodes V map x Hmap Hx _ _ m (softmax_leaks T) Hm). }
  intros H.
  assert (D1 : -1 <= d <= 1).
  { unfold d, softmax_leak. simpl (INR 2).
    assert (F : forall a, 0 <= 1 / (exp a + (1 + 1 - 1)) <= 1).
    { intros a. pose proof (exp_pos a). split.
      - apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra].
      - apply Rmult_le_reg_r with (exp a + (1 + 1 - 1)); [lra|].
        replace (1 / (exp a + (1 + 1 - 1)) * (exp a + (1 + 1 - 1))) with 1 by (field; lra). lra. }
    pose proof (F (T (conditional_self V) 2%nat)). pose proof (F (T (conditional_first V) 2%nat)). lra. }
  split.
  - apply Rnot_le_lt. intros B.
    (* the map that is 0 everywhere, at 0: the value comes out at least half a step too high *)
    pose (map := fun _ : nat => 0%nat).
    assert (Hmap : sequence V V map) by (intros k _; unfold map; lia).
    pose proof (H map 0%nat Hmap ltac:(lia)) as [_ D]. specialize (D 1%nat ltac:(lia) ltac:(discriminate)).
    pose proof (conditional_logits V map 0%nat ltac:(lia) _ _ m (softmax_leaks T) Hm) as L.
    rewrite (L 1%nat), (L (map 0%nat)) in D by (try (unfold map; lia); intros; unfold map; simpl; lra).
    apply (Rlt_not_le _ _ D). apply too_high; unfold map; try lia. simpl (INR 0).
    fold d. eapply Rle_trans; [|apply Rmult_le_compat_l; [lra|apply Rmax_r]].
    unfold Rdiv. rewrite Rmult_0_l. lra.
  - apply Rnot_le_lt. intros B.
    (* a map that is 1 at one token: half a step too low *)
    pose (map := fun k : nat => if (k =? 0)%nat then 1%nat else 0%nat).
    assert (Hmap : sequence V V map) by (intros k _; unfold map; destruct (k =? 0)%nat; lia).
    pose proof (H map 0%nat Hmap ltac:(lia)) as D. apply decodes_argmax in D. revert D.
    eapply argmax_too_low; try (unfold map; simpl; lia).
    + intros v Hv. apply (conditional_logits V map 0%nat ltac:(lia) _ _ m (softmax_leaks T) Hm); auto.
      intros k Hk Hne. unfold map. rewrite (proj2 (Nat.eqb_neq k 0) Hne). simpl. lra.
    + fold d. unfold map. simpl (INR _). set (s := 1 / INR V).
      assert (Es : INR V * s = 1) by (unfold s; field; lra).
      unfold Rmax. destruct (Rle_dec _ _); nra.
Qed.
