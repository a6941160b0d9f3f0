(** * The forward pass over the reals: hardmax and softmax

    Every score in the constructions is 0 or 1, with the 1 in one place [a].
    Then hardmax gives weight 1 to [a], and softmax with [q = exp T] gives
    [q/(q+t-1)] to [a] and the LEAK [1/(q+t-1)] to each of the other [t-1]
    visible positions.  Hardmax is the case of leak 0, so both are proved at once. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas.
Import ListNotations.
Open Scope R_scope.

Definition real : arithmetic R := {|
  of_Q := Q2R; add := Rplus; mul := Rmult; div := Rdiv; relu := Rmax 0;
  leb := fun x y => if Rle_dec x y then true else false;
  sum := Rsum;
  affine := fun n x y b => Rsum n (fun k => x k * y k) + b |}.

(** Softmax; the inverse temperature is a function of the head and of the
    current length (constant in the paper, not in its notebook). *)
Definition temperature := head -> nat -> R.
Definition softmax (T : temperature) : normaliser R := fun h n vis s =>
  normalise real n vis (fun j => exp (T h n * s j)).

(** [f] puts token [y] strictly above every other of [V] tokens. *)
Definition decodes (V : nat) (f : nat -> R) (y : nat) : Prop :=
  (y < V)%nat /\ forall v, (v < V)%nat -> v <> y -> f v < f y.

Lemma argmax_ge n (f : nat -> R) v : (v < n)%nat -> f v <= f (argmax real n f).
Proof.
  induction n; intros Hv; [lia|]. simpl. destruct (Rle_dec _ _) as [L|L].
  - destruct (Nat.eq_dec v n) as [->|]; [auto|]. apply IHn; lia.
  - destruct (Nat.eq_dec v n) as [->|]; [lra|]. specialize (IHn ltac:(lia)). lra.
Qed.
Lemma argmax_lt n (f : nat -> R) : (0 < n)%nat -> (argmax real n f < n)%nat.
Proof.
  induction n; simpl; intros; [lia|]. destruct (Rle_dec _ _); [|lia].
  destruct n; [simpl; lia|]. specialize (IHn ltac:(lia)). lia.
Qed.
Lemma argmax_first n (f : nat -> R) v : (v < argmax real n f)%nat -> f v < f (argmax real n f).
Proof.
  induction n; simpl; intros Hv; [lia|]. destruct (Rle_dec _ _) as [L|L]; [auto|].
  pose proof (argmax_ge n f v Hv). lra.
Qed.
Lemma decodes_argmax V f y : decodes V f y -> argmax real V f = y.
Proof.
  intros [Hy H]. destruct (Nat.eq_dec (argmax real V f) y) as [|N]; auto. exfalso.
  pose proof (argmax_ge V f y Hy). pose proof (H _ (argmax_lt V f ltac:(lia)) N). lra.
Qed.

(** ** Linear maps *)
Lemma apply_rows d row b x r : fits d (row r) ->
  apply real d (by_rows row) b x r = form (row r) x + Q2R (b r).
Proof. intros H. unfold apply. cbn [affine of_Q real]. unfold by_rows. now rewrite form_entry. Qed.
Lemma project_rows d row x r : fits d (row r) -> project real d (by_rows row) x r = form (row r) x.
Proof. intros H. unfold project. rewrite apply_rows by auto. rewrite Q2R_0. lra. Qed.
Lemma layer_relu d gs x r nr : stack gs r = nr -> fits d (fst nr) ->
  layer_output real (layer d true gs) x r = Rmax 0 (form (fst nr) x + Q2R (snd nr)).
Proof.
  intros E F. unfold layer_output, layer. cbn [in_dim weight bias activated].
  rewrite apply_rows by (now rewrite E). rewrite E. reflexivity.
Qed.
Lemma layer_linear d gs x r nr : stack gs r = nr -> fits d (fst nr) ->
  layer_output real (layer d false gs) x r = form (fst nr) x + Q2R (snd nr).
Proof.
  intros E F. unfold layer_output, layer. cbn [in_dim weight bias activated].
  rewrite apply_rows by (now rewrite E). now rewrite E.
Qed.
Ltac fit := cbn [fst snd]; repeat (apply Forall_cons || apply Forall_nil); cbn [fst snd pick total]; lia.

Lemma Q2R_identity r c : Q2R (identity r c) = kron r c.
Proof.
  unfold identity, by_rows, entry, pick, kron. cbn [fold_right].
  destruct (Nat.eqb_spec r c) as [->|].
  - rewrite Nat.leb_refl, (proj2 (Nat.ltb_lt _ _)) by lia. simpl.
    unfold Q2R; simpl; lra.
  - destruct (Nat.leb_spec r c); destruct (Nat.ltb_spec c (r + 1)); try lia; simpl; apply Q2R_0.
Qed.

(** ** Inputs *)
Section Inputs.
Variables (tf : transformer) (p : prompt) (tokens : list nat).
Let x := inputs real tf p tokens.
Let D := embedding_dim tf.
Lemma inputs_position i r : position_code tf = identity -> x i (D + r)%nat = kron r i.
Proof.
  intros H. unfold x, inputs. fold D. rewrite (proj2 (Nat.ltb_ge _ _)) by lia.
  rewrite H. replace (D + r - D)%nat with r by lia. apply Q2R_identity.
Qed.
Lemma inputs_virtual i r : (i < prompt_size p)%nat -> (r < D)%nat -> x i r = Q2R (virtual_token p i r).
Proof.
  intros Hi Hr. unfold x, inputs. fold D. now rewrite !(proj2 (Nat.ltb_lt _ _)) by lia.
Qed.
Lemma inputs_token i r : (prompt_size p <= i)%nat -> (r < D)%nat ->
  x i r = Q2R (embedding tf r (nth (i - prompt_size p) tokens 0%nat)).
Proof.
  intros Hi Hr. unfold x, inputs. fold D. rewrite (proj2 (Nat.ltb_lt r D)) by lia.
  now rewrite (proj2 (Nat.ltb_ge _ _)) by lia.
Qed.
End Inputs.

(** ** Scores of the heads: they read the position code, which is exact *)
Section Scores.
Variables (D N : nat) (x : nat -> vector R) (i j : nat).
Hypothesis Hi : (i < N)%nat.
Hypothesis Hj : (j < N)%nat.
Hypothesis Px : forall k r, (k < N)%nat -> (r < N)%nat -> x k (D + r)%nat = kron r k.

Lemma score_self V d : (D + N <= d)%nat -> score real d (self_head D N V) x i j = kron j i.
Proof.
  intros Hd. unfold score, dot. cbn [self_head head_dim W_Q W_K affine real].
  unfold zero. cbn [of_Q real]. rewrite Q2R_0, Rplus_0_r.
  assert (P : forall k r, (k < N)%nat -> (r < N)%nat ->
    project real d (position_half D) (x k) r = kron r k).
  { intros. unfold position_half. rewrite project_rows by fit. rewrite form_pick. now apply Px. }
  rewrite (Rsum_single N i) by
    (try lia; intros k Hk Hn; rewrite !P by lia; rewrite (kron_diff k i) by auto; lra).
  rewrite !P by lia. rewrite kron_same, kron_sym. lra.
Qed.
Lemma score_position V d p : (D + N <= d)%nat -> (p < N)%nat ->
  score real d (position_head D N p V) x i j = kron j p.
Proof.
  intros Hd Hp. unfold score, dot. cbn [position_head head_dim W_Q W_K affine real Rsum].
  unfold zero. cbn [of_Q real]. rewrite Q2R_0, !project_rows by fit.
  rewrite form_total, form_pick, Px by lia.
  rewrite (Rsum_single N i) by
    (try lia; intros k Hk Hn; rewrite Px by lia; now rewrite kron_diff).
  rewrite Px, kron_same by lia. rewrite kron_sym. lra.
Qed.
Lemma score_back V d K : (D + N <= d)%nat -> N = (K + K)%nat -> (K <= i)%nat ->
  score real d (back_head D K V) x i j = kron j (i - K).
Proof.
  intros Hd HN HK. unfold score, dot. cbn [back_head head_dim W_Q W_K affine real].
  unfold zero. cbn [of_Q real]. rewrite Q2R_0, Rplus_0_r.
  assert (P : forall k r, (k < N)%nat -> (r < K)%nat ->
    project real d (position_half D) (x k) r = kron r k).
  { intros. unfold position_half. rewrite project_rows by fit. rewrite form_pick. apply Px; lia. }
  assert (P' : forall k r, (k < N)%nat -> (r < K)%nat ->
    project real d (position_half (D + K)) (x k) r = kron (K + r) k).
  { intros. unfold position_half. rewrite project_rows by fit.
    rewrite form_pick, <- Nat.add_assoc. apply Px; lia. }
  rewrite (Rsum_single K (i - K)) by
    (try lia; intros k Hk Hn; rewrite P, P' by lia; rewrite (kron_diff (K + k) i) by lia; lra).
  rewrite P, P' by lia. replace (K + (i - K))%nat with i by lia.
  rewrite kron_same, kron_sym. lra.
Qed.
End Scores.

(** ** Attention weights on a row of scores that is the indicator of [a] *)
Definition leak := head -> nat -> nat -> R.        (* head, length, visible positions *)

Definition leaks (nz : normaliser R) (beta : leak) : Prop := forall h n vis s a,
  (a < n)%nat -> vis a = true -> (forall k, (k < n)%nat -> s k = kron k a) ->
  let b := beta h n (count n vis) in let t := INR (count n vis) in
  (0 <= b /\ (t - 1) * b <= 1) /\
  forall j, (j < n)%nat ->
    nz h n vis s j = (if vis j then b else 0) + kron j a * (1 - t * b).

Lemma hardmax_leaks : leaks (hardmax real) (fun _ _ _ => 0).
Proof.
  intros h n vis s a Ha Va Hs. cbv zeta. split; [lra|]. intros j Hj.
  assert (MX : forall k, (k < n)%nat -> vis k = true -> maximal real n vis s k = (k =? a)%nat).
  { intros k Hk Vk. unfold maximal. destruct (Nat.eqb_spec k a) as [->|Hne].
    - apply forallb_forall. intros l Hl%in_seq. apply orb_true_iff. right. simpl.
      rewrite !Hs by lia. rewrite kron_same. pose proof (kron_range l a).
      destruct (Rle_dec _ _); auto; lra.
    - apply not_true_iff_false. intros F. rewrite forallb_forall in F.
      specialize (F a ltac:(apply in_seq; lia)). rewrite Va in F. simpl in F.
      rewrite !Hs in F by lia. rewrite kron_same, kron_diff in F by auto.
      destruct (Rle_dec 1 0); [lra|discriminate]. }
  unfold hardmax, normalise, zero. cbn [sum div of_Q real].
  rewrite (Rsum_single n a); auto.
  - rewrite Va, (MX a), Nat.eqb_refl by auto. rewrite Q2R_0, Q2R_1.
    destruct (vis j) eqn:Vj.
    + rewrite MX by auto. unfold kron. destruct (j =? a)%nat; lra.
    + rewrite kron_diff by congruence. lra.
  - intros k Hk Hne. destruct (vis k) eqn:Vk; [|apply Q2R_0].
    rewrite MX by auto. rewrite (proj2 (Nat.eqb_neq k a) Hne). apply Q2R_0.
Qed.

Definition softmax_leak (T : temperature) : leak := fun h n t => 1 / (exp (T h n) + (INR t - 1)).

Lemma softmax_denominator (T : temperature) h n vis s a : (a < n)%nat -> vis a = true ->
  (forall k, (k < n)%nat -> s k = kron k a) ->
  Rsum n (fun k => if vis k then exp (T h n * s k) else 0) = exp (T h n) + (INR (count n vis) - 1).
Proof.
  intros Ha Va Hs. set (q := exp (T h n)).
  change (Rsum_visible n vis (fun k => exp (T h n * s k)) = q + (INR (count n vis) - 1)).
  rewrite (Rsum_visible_ext n vis _ (fun k => kron k a * (q - 1) + 1)).
  - rewrite Rsum_visible_plus, Rsum_visible_const, (Rsum_visible_out _ _ _ a), kron_same by auto.
    rewrite (Rsum_visible_ext _ _ _ (fun _ => 0)).
    + rewrite Rsum_visible_const. lra.
    + intros k _ _. unfold kron. destruct (k =? a)%nat; lra.
  - intros k Hk _. rewrite Hs by auto. unfold kron. destruct (k =? a)%nat.
    + rewrite Rmult_1_r. unfold q. lra.
    + rewrite Rmult_0_r, exp_0. lra.
Qed.
Lemma softmax_leaks T : leaks (softmax T) (softmax_leak T).
Proof.
  intros h n vis s a Ha Va Hs. cbv zeta. unfold softmax_leak.
  set (q := exp (T h n)). set (t := INR (count n vis)).
  assert (Q : 0 < q) by apply exp_pos.
  assert (T1 : 1 <= t) by (apply INR_ge1; now apply (count_pos n vis a)).
  assert (I : 0 < / (q + (t - 1))) by (apply Rinv_0_lt_compat; lra).
  split.
  - unfold Rdiv. rewrite Rmult_1_l. split; [lra|].
    apply Rmult_le_reg_r with (q + (t - 1)); [lra|].
    rewrite Rmult_assoc, Rinv_l by lra. lra.
  - intros j Hj. unfold softmax, normalise, zero. cbn [sum div of_Q real]. rewrite Q2R_0.
    rewrite (softmax_denominator T h n vis s a) by auto. fold q t.
    rewrite Hs by auto. destruct (vis j) eqn:Vj.
    + unfold kron. destruct (j =? a)%nat.
      * rewrite Rmult_1_r. fold q. field. lra.
      * rewrite Rmult_0_r, exp_0. lra.
    + rewrite kron_diff by congruence. lra.
Qed.

(** Attention is the value at [a], moved towards the other visible values. *)
Lemma attention_leaks nz beta d n m h x i a r :
  leaks nz beta -> (a < n)%nat -> m i a = true ->
  (forall j, (j < n)%nat -> score real d h x i j = kron j a) ->
  attention real nz d n m h x i r =
    let v := fun j => project real d (W_V h) (x j) r in
    v a + beta h n (count n (m i)) * Rsum_visible n (m i) (fun j => v j - v a).
Proof.
  intros L Ha Va Hs. destruct (L h n (m i) _ a Ha Va Hs) as [_ Hw]. cbv zeta in *.
  set (b := beta h n (count n (m i))) in *. unfold attention, dot, zero.
  cbn [affine of_Q real]. rewrite Q2R_0, Rplus_0_r.
  set (v := fun j => project real d (W_V h) (x j) r).
  rewrite (Rsum_ext n _ (fun j => b * (if m i j then v j - v a else 0)
     + (v a * b * (if m i j then 1 else 0) + kron j a * ((1 - INR (count n (m i)) * b) * v a)))).
  - rewrite !Rsum_plus, !Rsum_scal, <- count_sum.
    rewrite (Rsum_single n a (fun k => kron k a * _)), kron_same; auto.
    2:{ intros k _ Hk. rewrite kron_diff by auto. lra. }
    fold (Rsum_visible n (m i) (fun j => v j - v a)). unfold v. lra.
  - intros j Hj. rewrite Hw by auto. fold (v j). unfold kron.
    destruct (Nat.eqb_spec j a) as [->|]; [rewrite Va|destruct (m i j)]; ring.
Qed.

Lemma attention_layer_two nz d n m h1 h2 x i r :
  attention_layer real nz d n m [h1; h2] x i r
  = attention real nz d n m h1 x i r + attention real nz d n m h2 x i r.
Proof. unfold attention_layer. cbn [length sum real Rsum map nth]. lra. Qed.

(** ** Greedy decoding *)
Definition admissible (m : mask) : Prop := forall n i, (i < n)%nat ->
  m n i i = true /\ m n i 0%nat = true.
Lemma admissible_causal : admissible causal.
Proof. intros n i Hi. unfold causal. now rewrite Nat.leb_refl. Qed.
Lemma admissible_full : admissible full.
Proof. now intros n i Hi. Qed.

Lemma generate_length {A} (o : arithmetic A) tf nz m p user k :
  length (generate o tf nz m p user k) = k.
Proof. induction k; simpl; auto. rewrite app_length, IHk. simpl; lia. Qed.
Lemma generate_firstn {A} (o : arithmetic A) tf nz m p user k n : (n <= k)%nat ->
  generate o tf nz m p user n = firstn n (generate o tf nz m p user k).
Proof.
  induction k; intros H; [now replace n with 0%nat by lia|].
  destruct (Nat.eq_dec n (S k)) as [->|].
  - rewrite firstn_all2; auto. rewrite generate_length. lia.
  - rewrite IHk by lia. cbn [generate]. rewrite firstn_app, generate_length.
    replace (n - k)%nat with 0%nat by lia. simpl. now rewrite app_nil_r.
Qed.

(** If every step decodes the right token, so does the whole loop... *)
Lemma generate_correct tf nz m p user y k :
  (forall g, (g < k)%nat ->
    decodes (vocab_size tf)
      (logits real tf nz m p (user ++ map y (seq 0 g)) (prompt_size p + length user + g - 1)) (y g)) ->
  generate real tf nz m p user k = map y (seq 0 k).
Proof.
  intros H. induction k; [reflexivity|].
  rewrite seq_S, map_app, <- IHk by (intros; apply H; lia). cbn [generate map]. f_equal. f_equal.
  apply decodes_argmax. rewrite IHk by (intros; apply H; lia). apply H. lia.
Qed.
(** ... and if the loop is right, so was the argmax of every step. *)
Lemma generate_step tf nz m p user y k g : (g < k)%nat ->
  generate real tf nz m p user k = map y (seq 0 k) ->
  argmax real (vocab_size tf)
    (logits real tf nz m p (user ++ map y (seq 0 g)) (prompt_size p + length user + g - 1)) = y g.
Proof.
  intros Hg H.
  assert (F : forall n, (n <= k)%nat -> generate real tf nz m p user n = map y (seq 0 n)).
  { intros n Hn. rewrite (generate_firstn real tf nz m p user k n Hn), H.
    replace k with (n + (k - n))%nat by lia.
    rewrite seq_app, map_app, firstn_app, map_length, seq_length, Nat.sub_diag.
    rewrite firstn_all2 by (now rewrite map_length, seq_length). simpl. now rewrite app_nil_r. }
  pose proof (F (S g) ltac:(lia)) as G. cbn [generate] in G. rewrite F in G by lia.
  rewrite seq_S, map_app in G. now apply app_inj_tail in G as [_ G].
Qed.
