(** * The constructions in an exact number type, with any encoding of tokens *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration LongerResponses Encodings Exact.
Import ListNotations.
Open Scope R_scope.

(** Token [k] is encoded by [e k]; everything computed on the way is representable. *)
Record encoding (F G : R -> Prop) (V : nat) (c : Q) (a b e : nat -> Q) : Prop := {
  encoding_mark : F (Q2R c) /\ F (- Q2R c);
  encoding_readout : forall v, (v < V)%nat -> F (Q2R (a v)) /\ G (Q2R (b v));
  encoding_range : forall k, (k < V)%nat -> 0 <= Q2R (e k) <= Q2R c;
  encoding_value : forall k, (k < V)%nat ->
    F (Q2R (e k)) /\ F (Q2R c + Q2R (e k)) /\ F (Q2R (e k) - Q2R c);
  encoding_logit : forall v k, (v < V)%nat -> (k < V)%nat ->
    G (Q2R (a v) * Q2R (e k)) /\ G (Q2R (a v) * Q2R (e k) + Q2R (b v));
  encoding_decodes : forall k, (k < V)%nat ->
    decodes V (fun v => Q2R (a v) * Q2R (e k) + Q2R (b v)) k }.

Lemma generate_by_argmax {A} (o : arithmetic A) tf nz m p user y k :
  (forall g, (g < k)%nat -> argmax o (vocab_size tf)
    (logits o tf nz m p (user ++ map y (seq 0 g)) (prompt_size p + length user + g - 1)) = y g) ->
  generate o tf nz m p user k = map y (seq 0 k).
Proof.
  intros H. induction k; [reflexivity|].
  rewrite seq_S, map_app, <- IHk by (intros; apply H; lia). cbn [generate map]. f_equal. f_equal.
  rewrite IHk by (intros; apply H; lia). apply H. lia.
Qed.

Section Exact.
Context {A : Type} (o : arithmetic A) (rep : A -> R -> Prop) (F G : R -> Prop).
Hypothesis X : exact_arithmetic o rep F G.
Variables (V : nat) (c : Q) (a b e : nat -> Q).
Hypothesis HE : encoding F G V c a b e.
Variable nz : normaliser A.
Hypothesis Hnz : one_hot_normaliser rep nz.

Lemma rep_inputs tf p tokens i k : F (inputs real tf p tokens i k) ->
  rep (inputs o tf p tokens i k) (inputs real tf p tokens i k).
Proof. intros H. apply (exact_Q _ _ _ _ X). now apply X. Qed.
Let FG := exact_result _ _ _ _ X.
Lemma F_marked k i : F (Q2R c * kron k i).
Proof.
  unfold kron. destruct (k =? i)%nat; [rewrite Rmult_1_r; apply HE|rewrite Rmult_0_r; apply X].
Qed.
Lemma F_marked_value k i v : (v < V)%nat -> F (Q2R c * kron k i + Q2R (e v)).
Proof.
  intros Hv. unfold kron.
  destruct (k =? i)%nat; [rewrite Rmult_1_r|rewrite Rmult_0_r, Rplus_0_l]; now apply HE.
Qed.

Lemma rep_layer_two d n m h1 h2 x i r z1 z2 :
  rep (attention o nz d n m h1 x i r) z1 -> rep (attention o nz d n m h2 x i r) z2 ->
  F z1 -> F z2 -> F (z1 + z2) ->
  rep (attention_layer o nz d n m [h1; h2] x i r) (z1 + z2).
Proof. intros. unfold attention_layer. cbn [length map]. now apply (exact_sum_two _ _ _ _ X). Qed.

(** The MLP on [c * e_i + s], where [s_r] encodes token [t r]. *)
Lemma rep_marked_decoder D i h t : (i < D)%nat -> (forall r, (r < D)%nat -> (t r < V)%nat) ->
  (forall r, (r < D)%nat -> rep (h r) (Q2R c * kron r i + Q2R (e (t r)))) ->
  argmax o V (mlp o (decoder_with c a b V D) h) = t i.
Proof.
  intros Hi Ht Hh.
  apply (rep_argmax o rep F G X) with (g := fun v => Q2R (a v) * Q2R (e (t i)) + Q2R (b v)).
  - now apply HE, Ht.
  - intros v Hv. apply (rep_decoder o rep F G X) with (s := fun r => Q2R (e (t r))); auto.
    + intros r Hr. now apply HE, Ht.
    + intros r Hr. now apply HE, Ht.
    + intros r Hr. apply F_marked_value. auto.
    + apply HE.
    + intros r Hr. now apply HE, Ht.
    + intros w Hw. destruct (encoding_readout _ _ _ _ _ _ _ HE w Hw).
      destruct (encoding_logit _ _ _ _ _ _ _ HE w (t i) Hw (Ht i Hi)). auto.
Qed.

(** ** Theorem 1 *)
Theorem unconditional_exact N y m : sequence V N y -> admissible m ->
  generate o (unconditional_with c a b V N) nz m (Prompt 1 (fun _ r => e (y r))) [] N
  = map y (seq 0 N).
Proof.
  intros Hy Hm. apply generate_by_argmax. intros g Hg. cbn [app prompt_size length].
  replace (1 + 0 + g - 1)%nat with g by lia. set (tokens := map y (seq 0 g)).
  set (tf := unconditional_with c a b V N). set (p := Prompt 1 (fun _ r => e (y r))).
  assert (L : length tokens = g) by (unfold tokens; now rewrite map_length, seq_length).
  unfold logits. cbn [blocks tf unconditional_with prompt_size p forward]. rewrite L.
  set (n := (1 + g)%nat). unfold block_output. cbn [width heads layers vocab_size].
  set (x := inputs o tf p tokens). set (u := inputs real tf p tokens).
  assert (Pu : forall k r, u k (N + r)%nat = kron r k)
    by (intros; unfold u; change N with (embedding_dim tf); now apply inputs_position).
  assert (Vu : forall r, (r < N)%nat -> u 0%nat r = Q2R (e (y r)))
    by (intros; unfold u; now rewrite inputs_virtual by (simpl; lia)).
  assert (Zu : forall k r, (1 <= k)%nat -> (r < N)%nat -> u k r = 0).
  { intros k r Hk Hr. unfold u. rewrite inputs_token by (simpl; lia). apply Q2R_0. }
  assert (Fu : forall k r, (r < N + N)%nat -> F (u k r)).
  { intros k r Hr. destruct (Nat.lt_ge_cases r N) as [C|C].
    - destruct k; [rewrite Vu by auto; now apply HE, Hy|rewrite Zu by (auto; lia); apply X].
    - replace r with (N + (r - N))%nat by lia. rewrite Pu. apply (F_kron o rep F G X). }
  assert (Hx : forall k r, (k < n)%nat -> (r < N + N)%nat -> rep (x k r) (u k r))
    by (intros; apply rep_inputs; now apply Fu).
  destruct (Hm n g ltac:(unfold n; lia)) as [M1 M0].
  apply rep_marked_decoder; auto. intros r Hr.
  assert (F2 : F (Q2R (e (y r)))) by now apply HE, Hy.
  apply rep_layer_two; auto using F_marked, F_marked_value.
  - apply (rep_attention o rep F G X nz _ _ _ _ _ _ g r (fun j => Q2R c * kron r j)); auto using F_marked.
    + intros j Hj. apply (rep_score_self o rep F G X N N (N + N) n x u); auto; unfold n in *; lia.
    + intros j Hj. rewrite <- Pu. cbn [self_head W_V].
      apply (rep_project_single o rep F G X) with (row := fun r => [(c, (N + r)%nat, 1%nat)]); auto; try lia.
      * apply HE.
      * rewrite Pu. apply FG, F_marked.
  - rewrite <- Vu by auto.
    apply (rep_attention o rep F G X nz _ _ _ _ _ _ 0%nat r (fun j => u j r)); auto; try (unfold n; lia).
    + intros j Hj. apply (rep_score_position o rep F G X N N (N + N) n x u); auto; unfold n in *; lia.
    + intros j Hj. apply (rep_project_pick o rep F G X) with (row := fun r => [pick r]) (u := u j);
        auto; lia.
    + intros. apply Fu. lia.
Qed.

(** The two constructions whose embedding is [c] times the identity. *)
Lemma scaled_identity r k : Q2R (by_rows (fun r => [(c, r, 1%nat)]) r k) = Q2R c * kron r k.
Proof. unfold by_rows. now rewrite entry_single, indicator_one, kron_sym. Qed.

(** ** Theorem 2 *)
Theorem conditional_exact f x m : sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_with c a b V) nz m (Prompt 1 (fun _ r => e (f r))) [x] 1 = [f x].
Proof.
  intros Hf Ht Hm. rename x into token.
  set (tf := conditional_with c a b V). set (p := Prompt 1 (fun _ r => e (f r))).
  cbn [generate app prompt_size p length Nat.add Nat.sub]. f_equal.
  unfold logits. cbn [blocks tf conditional_with prompt_size p forward length Nat.add].
  unfold block_output. cbn [width heads layers vocab_size].
  set (x := inputs o tf p [token]). set (u := inputs real tf p [token]).
  assert (Pu : forall k r, u k (V + r)%nat = kron r k)
    by (intros; unfold u; change V with (embedding_dim tf); now apply inputs_position).
  assert (Vu : forall r, (r < V)%nat -> u 0%nat r = Q2R (e (f r)))
    by (intros; unfold u; now rewrite inputs_virtual by (simpl; lia)).
  assert (Tu : forall r, (r < V)%nat -> u 1%nat r = Q2R c * kron r token).
  { intros r Hr. unfold u. rewrite inputs_token by (simpl; lia). apply scaled_identity. }
  assert (Fu : forall k r, (k < 2)%nat -> (r < V + 2)%nat -> F (u k r)).
  { intros k r Hk Hr. destruct (Nat.lt_ge_cases r V) as [C|C].
    - destruct k as [|[|]]; [rewrite Vu by auto; now apply HE, Hf|rewrite Tu by auto; apply F_marked|lia].
    - replace r with (V + (r - V))%nat by lia. rewrite Pu. apply (F_kron o rep F G X). }
  assert (Hx : forall k r, (k < 2)%nat -> (r < V + 2)%nat -> rep (x k r) (u k r))
    by (intros; apply rep_inputs; now apply Fu).
  destruct (Hm 2%nat 1%nat ltac:(lia)) as [M1 M0].
  apply rep_marked_decoder; auto. intros r Hr.
  assert (F2 : F (Q2R (e (f r)))) by now apply HE, Hf.
  assert (Val : forall h j, W_V h = embedding_half -> (j < 2)%nat ->
    rep (project o (V + 2) (W_V h) (x j) r) (u j r)).
  { intros h j -> Hj. apply (rep_project_pick o rep F G X) with (row := fun r => [pick r]) (u := u j);
      auto; lia. }
  apply rep_layer_two; auto using F_marked, F_marked_value.
  - rewrite <- Tu by auto.
    apply (rep_attention o rep F G X nz _ _ _ _ _ _ 1%nat r (fun j => u j r)); auto; [|intros; apply Fu; lia].
    intros j Hj. apply (rep_score_self o rep F G X V 2 (V + 2) 2 x u); auto.
  - rewrite <- Vu by auto.
    apply (rep_attention o rep F G X nz _ _ _ _ _ _ 0%nat r (fun j => u j r)); auto; [|intros; apply Fu; lia].
    intros j Hj. apply (rep_score_position o rep F G X V 2 (V + 2) 2 x u); auto.
Qed.

(** ** Longer responses *)
Theorem longer_responses_exact K f x m : responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_with c a b V K) nz m (Prompt K (fun p r => e (f p r))) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof.
  intros Hf Ht Hm. rename x into token. apply generate_by_argmax. intros g Hg.
  cbn [app prompt_size length]. rewrite response_index. set (ys := map _ _).
  set (tf := longer_responses_with c a b V K). set (p := Prompt K (fun p r => e (f p r))).
  assert (L : length ys = g) by (unfold ys; now rewrite map_length, seq_length).
  unfold logits. cbn [blocks tf longer_responses_with prompt_size p forward length]. rewrite L.
  set (n := (K + S g)%nat). unfold block_output. cbn [width heads layers vocab_size].
  set (x := inputs o tf p (token :: ys)). set (u := inputs real tf p (token :: ys)).
  assert (Pu : forall k r, u k (V + r)%nat = kron r k)
    by (intros; unfold u; change V with (embedding_dim tf); now apply inputs_position).
  assert (Vu : forall k r, (k < K)%nat -> (r < V)%nat -> u k r = Q2R (e (f k r)))
    by (intros; unfold u; now rewrite inputs_virtual by (simpl; lia)).
  assert (Tu : forall k r, (K <= k)%nat -> (r < V)%nat ->
    u k r = Q2R c * kron r (nth (k - K) (token :: ys) 0%nat)).
  { intros k r Hk Hr. unfold u. rewrite inputs_token by (simpl; lia). apply scaled_identity. }
  assert (Fu : forall k r, (r < V + (K + K))%nat -> F (u k r)).
  { intros k r Hr. destruct (Nat.lt_ge_cases r V) as [C|C].
    - destruct (Nat.lt_ge_cases k K); [rewrite Vu by auto; now apply HE, Hf|].
      rewrite Tu by auto. apply F_marked.
    - replace r with (V + (r - V))%nat by lia. rewrite Pu. apply (F_kron o rep F G X). }
  assert (Hx : forall k r, (k < n)%nat -> (r < V + (K + K))%nat -> rep (x k r) (u k r))
    by (intros; apply rep_inputs; now apply Fu).
  destruct (Hm n (K + g)%nat ltac:(lia) ltac:(unfold n; lia)) as [M1 M2].
  replace (K + g - K)%nat with g in M1 by lia.
  apply (rep_marked_decoder V token _ (fun r => f g r)); auto. intros r Hr.
  assert (F2 : F (Q2R (e (f g r)))) by now apply HE, Hf.
  assert (Val : forall h j, W_V h = embedding_half -> (j < n)%nat ->
    rep (project o (V + (K + K)) (W_V h) (x j) r) (u j r)).
  { intros h j -> Hj. apply (rep_project_pick o rep F G X) with (row := fun r => [pick r]) (u := u j);
      auto; lia. }
  eapply (rep_eq rep); [apply rep_layer_two with (z1 := u g r) (z2 := u K r)|].
  - apply (rep_attention o rep F G X nz _ _ _ _ _ _ g r (fun j => u j r)); auto; try (unfold n; lia); [|intros; apply Fu; lia].
    intros j Hj. replace g with (K + g - K)%nat at 2 by lia.
    apply (rep_score_back o rep F G X V (K + K) (V + (K + K)) n x u); auto; unfold n in *; lia.
  - apply (rep_attention o rep F G X nz _ _ _ _ _ _ K r (fun j => u j r)); auto; try (unfold n; lia); [|intros; apply Fu; lia].
    intros j Hj. apply (rep_score_position o rep F G X V (K + K) (V + (K + K)) n x u); auto; unfold n in *; lia.
  - apply Fu; lia.
  - apply Fu; lia.
  - rewrite Vu, Tu, Nat.sub_diag by auto. cbn [nth]. rewrite Rplus_comm. apply F_marked_value. now apply Hf.
  - rewrite Vu, Tu, Nat.sub_diag by auto. cbn [nth]. apply Rplus_comm.
Qed.
End Exact.
