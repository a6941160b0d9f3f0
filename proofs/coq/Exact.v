(** * Number types in which a forward pass with one-hot attention makes no error

    [rep x r]: the number [x] stands for the real [r].  [F r]: [r] can be a factor of a
    product.  [G r]: [r] can be a sum of products.  (The same in an IEEE format; a unit that
    cuts its factors short has more results than factors.)
    All that is asked of the number type is that a sum of products is exact when at
    most one product and one addend are not zero, and all partial results are
    representable: so no theorem depends on the order of summation, or on whether
    multiplication and addition are fused. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration LongerResponses Encodings.
Import ListNotations.
Open Scope R_scope.

Record exact_arithmetic {A} (o : arithmetic A) (rep : A -> R -> Prop) (F G : R -> Prop) := {
  exact_0 : F 0;
  exact_1 : F 1;
  exact_Q : forall q, G (Q2R q) -> rep (of_Q o q) (Q2R q);
  exact_sum_one : forall n f a z, (a < n)%nat -> rep (f a) z -> F z ->
    (forall k, (k < n)%nat -> k <> a -> rep (f k) 0) -> rep (sum o n f) z;
  exact_sum_two : forall f z0 z1, rep (f 0%nat) z0 -> rep (f 1%nat) z1 -> F z0 -> F z1 ->
    F (z0 + z1) -> rep (sum o 2 f) (z0 + z1);
  exact_affine : forall n x y b u v c a, (a < n)%nat ->
    (forall k, (k < n)%nat -> rep (x k) (u k)) -> (forall k, (k < n)%nat -> rep (y k) (v k)) ->
    (forall k, (k < n)%nat -> F (u k) /\ F (v k)) ->
    rep b c -> (forall k, (k < n)%nat -> k <> a -> u k * v k = 0) ->
    G (u a * v a) -> G c -> G (u a * v a + c) -> rep (affine o n x y b) (u a * v a + c);
  exact_div : forall x y a, rep x a -> rep y 1 -> G a -> rep (div o x y) a;
  exact_relu : forall x a, rep x a -> rep (relu o x) (Rmax 0 a);
  exact_leb : forall x y a b, rep x a -> rep y b -> (leb o x y = true <-> a <= b);
  exact_result : forall r, F r -> G r }.

Section Exact.
Context {A : Type} (o : arithmetic A) (rep : A -> R -> Prop) (F G : R -> Prop).
Hypothesis X : exact_arithmetic o rep F G.

Lemma F_kron a b : F (kron a b).
Proof. unfold kron. destruct (a =? b)%nat; apply X. Qed.
Let FG := exact_result _ _ _ _ X.
Lemma rep_zero : rep (zero o) 0.
Proof. unfold zero. rewrite <- Q2R_0. apply X. rewrite Q2R_0. apply FG, X. Qed.
Lemma rep_one : rep (of_Q o 1) 1.
Proof. rewrite <- Q2R_1. apply (exact_Q _ _ _ _ X). rewrite Q2R_1. apply FG, X. Qed.
Lemma rep_eq x a b : rep x a -> a = b -> rep x b.
Proof. now intros ? <-. Qed.

Lemma rep_argmax n (f : nat -> A) (g : nat -> R) y : decodes n g y ->
  (forall v, (v < n)%nat -> rep (f v) (g v)) -> argmax o n f = y.
Proof.
  intros Hd Hr.
  assert (P : forall k, (k <= n)%nat -> argmax o k f = argmax real k g /\
     ((0 < k)%nat -> (argmax o k f < k)%nat)).
  { induction k; intros Hk; [split; [reflexivity|lia]|]. destruct (IHk ltac:(lia)) as [E B].
    simpl. rewrite <- E.
    assert (Bn : (argmax o k f < n)%nat) by (destruct k; simpl in *; lia).
    pose proof (exact_leb _ _ _ _ X _ _ _ _ (Hr k ltac:(lia)) (Hr _ Bn)) as L.
    destruct (leb o (f k) (f (argmax o k f))); destruct (Rle_dec _ _) as [Q|Q];
     try (exfalso; intuition congruence); split; try reflexivity; try lia.
    destruct k; simpl in *; lia. }
  rewrite (proj1 (P n (le_n n))). now apply decodes_argmax.
Qed.

(** ** Rows with one entry *)
Definition indicator (s k c : nat) : R := if ((s <=? c) && (c <? s + k))%nat%bool then 1 else 0.
Lemma entry_single q s k c : Q2R (entry [(q, s, k)] c) = Q2R q * indicator s k c.
Proof.
  unfold entry, indicator. cbn [fold_right].
  destruct ((s <=? c) && (c <? s + k))%nat%bool; rewrite ?Q2R_plus, ?Q2R_0; lra.
Qed.
Lemma indicator_one s c : indicator s 1 c = kron c s.
Proof.
  unfold indicator, kron. destruct (Nat.eqb_spec c s) as [->|].
  - now rewrite Nat.leb_refl, (proj2 (Nat.ltb_lt _ _)) by lia.
  - destruct (Nat.leb_spec s c), (Nat.ltb_spec c (s + 1)); simpl; auto; lia.
Qed.

(** [q * x_s + b] *)
Lemma rep_apply_single d row b x u q s r :
  row r = [(q, s, 1%nat)] -> (s < d)%nat -> (forall k, (k < d)%nat -> rep (x k) (u k)) ->
  (forall k, (k < d)%nat -> F (u k)) ->
  F (Q2R q) -> G (Q2R q * u s) -> G (Q2R (b r)) -> G (Q2R q * u s + Q2R (b r)) ->
  rep (apply o d (by_rows row) b x r) (Q2R q * u s + Q2R (b r)).
Proof.
  intros Hrow Hs Hx Fx Fq Fu Fb Fs. unfold apply, by_rows. rewrite Hrow.
  pose proof (exact_affine _ _ _ _ X d (fun c => of_Q o (entry [(q, s, 1%nat)] c)) x (of_Q o (b r))
    (fun c => Q2R (entry [(q, s, 1%nat)] c)) u (Q2R (b r)) s) as Ax.
  cbv beta in Ax. rewrite !entry_single, indicator_one, kron_same, Rmult_1_r in Ax.
  assert (Fw : forall k, F (Q2R (entry [(q, s, 1%nat)] k))).
  { intros k. rewrite entry_single, indicator_one. unfold kron.
    destruct (k =? s)%nat; [now rewrite Rmult_1_r|rewrite Rmult_0_r; apply X]. }
  apply Ax; auto.
  - intros k Hk. apply X. auto.
  - now apply X.
  - intros k Hk Hne. rewrite entry_single, indicator_one, kron_diff by auto. lra.
Qed.
Lemma rep_project_single d row x u q s r :
  row r = [(q, s, 1%nat)] -> (s < d)%nat -> (forall k, (k < d)%nat -> rep (x k) (u k)) ->
  (forall k, (k < d)%nat -> F (u k)) -> F (Q2R q) -> G (Q2R q * u s) -> rep (project o d (by_rows row) x r) (Q2R q * u s).
Proof.
  intros. apply rep_eq with (Q2R q * u s + Q2R 0); [|rewrite Q2R_0; lra].
  apply rep_apply_single with (row := row) (b := fun _ => 0%Q); auto; rewrite Q2R_0; [apply FG, X|now rewrite Rplus_0_r].
Qed.
Lemma rep_project_pick d row x u s r :
  row r = [pick s] -> (s < d)%nat -> (forall k, (k < d)%nat -> rep (x k) (u k)) -> (forall k, (k < d)%nat -> F (u k)) ->
  rep (project o d (by_rows row) x r) (u s).
Proof.
  intros. apply rep_eq with (Q2R 1 * u s); [|rewrite Q2R_1; lra].
  apply rep_project_single with (row := row); auto; rewrite Q2R_1; [apply X|rewrite Rmult_1_l; auto].
Qed.
(** A row of ones over a window in which at most [x_a] is not zero. *)
Lemma rep_apply_total d row b x u s k a r :
  row r = [total s k] -> b r = 0%Q -> (s <= a < s + k)%nat -> (s + k <= d)%nat ->
  (forall j, (j < d)%nat -> rep (x j) (u j)) -> (forall j, (j < d)%nat -> F (u j)) ->
  (forall j, (s <= j < s + k)%nat -> j <> a -> u j = 0) ->
  rep (apply o d (by_rows row) b x r) (u a).
Proof.
  intros Hrow Hb Ha Hd Hx Fx Hz. unfold apply, by_rows, total in *. rewrite Hrow, Hb.
  pose proof (exact_affine _ _ _ _ X d (fun c => of_Q o (entry [(1, s, k)%Q] c)) x (of_Q o 0)
    (fun c => Q2R (entry [(1, s, k)%Q] c)) u 0 a) as Ax.
  assert (I : forall c, Q2R (entry [(1, s, k)%Q] c) = indicator s k c)
    by (intros; rewrite entry_single, Q2R_1; lra).
  assert (Ia : indicator s k a = 1).
  { unfold indicator. now rewrite (proj2 (Nat.leb_le _ _)), (proj2 (Nat.ltb_lt _ _)) by lia. }
  assert (Fw : forall c, F (Q2R (entry [(1, s, k)%Q] c))).
  { intros c. rewrite I. unfold indicator. destruct ((s <=? c) && (c <? s + k))%nat%bool; apply X. }
  assert (Fa : G (u a)) by (apply FG, Fx; lia).
  cbv beta in Ax. rewrite I, Ia, Rmult_1_l, Rplus_0_r in Ax. apply Ax; auto; try lia.
  - intros c Hc. apply X. auto.
  - apply rep_zero.
  - intros c Hc Hne. rewrite I. unfold indicator.
    destruct (Nat.leb_spec s c), (Nat.ltb_spec c (s + k)); simpl; try lra.
    rewrite Hz by (auto; lia). lra.
  - apply FG, X.
Qed.

(** ** Scores and one-hot attention *)
Definition one_hot_normaliser (nz : normaliser A) : Prop := forall h n vis s a,
  (a < n)%nat -> vis a = true -> (forall k, (k < n)%nat -> rep (s k) (kron k a)) ->
  forall j, (j < n)%nat -> rep (nz h n vis s j) (kron j a).

Lemma hardmax_one_hot : one_hot_normaliser (hardmax o).
Proof.
  intros h n vis s a Ha Va Hs j Hj.
  assert (MX : forall k, (k < n)%nat -> vis k = true -> maximal o n vis s k = (k =? a)%nat).
  { intros k Hk Vk. unfold maximal. destruct (Nat.eqb_spec k a) as [->|Hne].
    - apply forallb_forall. intros l Hl%in_seq. apply orb_true_iff. right.
      apply (proj2 (exact_leb _ _ _ _ X _ _ _ _ (Hs l ltac:(lia)) (Hs a Ha))).
      rewrite kron_same. apply kron_range.
    - apply not_true_iff_false. intros Q. rewrite forallb_forall in Q.
      specialize (Q a ltac:(apply in_seq; lia)). rewrite Va in Q. simpl in Q.
      apply (proj1 (exact_leb _ _ _ _ X _ _ _ _ (Hs a Ha) (Hs k Hk))) in Q.
      rewrite kron_same, kron_diff in Q by auto. lra. }
  unfold hardmax, normalise. destruct (vis j) eqn:Vj.
  - apply X; [| |apply FG, F_kron].
    + rewrite MX by auto. unfold kron. destruct (j =? a)%nat; [apply rep_one|apply rep_zero].
    + apply (exact_sum_one _ _ _ _ X) with (a := a); auto; [|apply X|].
      * rewrite Va, MX, Nat.eqb_refl by auto. apply rep_one.
      * intros k Hk Hne. destruct (vis k) eqn:Vk; [|apply rep_zero].
        rewrite MX, (proj2 (Nat.eqb_neq k a) Hne) by auto. apply rep_zero.
  - rewrite kron_diff by congruence. apply rep_zero.
Qed.

Lemma rep_attention nz d n m h x i a r (v : nat -> R) : one_hot_normaliser nz ->
  (a < n)%nat -> m i a = true ->
  (forall j, (j < n)%nat -> rep (score o d h x i j) (kron j a)) ->
  (forall j, (j < n)%nat -> rep (project o d (W_V h) (x j) r) (v j)) -> (forall j, (j < n)%nat -> F (v j)) ->
  rep (attention o nz d n m h x i r) (v a).
Proof.
  intros Hnz Ha Ma Hs Hv Fv. unfold attention, dot.
  apply rep_eq with (kron a a * v a + 0); [|rewrite kron_same; lra].
  apply (exact_affine _ _ _ _ X) with (u := fun j => kron j a) (a := a); auto.
  - intros k Hk. split; [apply F_kron|auto].
  - apply rep_zero.
  - intros k Hk Hne. rewrite kron_diff by auto. lra.
  - rewrite kron_same, Rmult_1_l. auto.
  - apply FG, X.
  - rewrite kron_same, Rmult_1_l, Rplus_0_r. auto.
Qed.

Section Scores.
Variables (D N d n : nat) (x : nat -> vector A) (u : nat -> nat -> R) (i j : nat).
Hypothesis Hd : d = (D + N)%nat.
Hypothesis Hn : (n <= N)%nat.
Hypothesis Hi : (i < n)%nat.
Hypothesis Hj : (j < n)%nat.
Hypothesis Hx : forall k c, (k < n)%nat -> (c < d)%nat -> rep (x k c) (u k c).
Hypothesis Fx : forall k c, (k < n)%nat -> (c < d)%nat -> F (u k c).
Hypothesis Px : forall k r, (k < n)%nat -> (r < N)%nat -> u k (D + r)%nat = kron r k.

Lemma rep_position_half off k r : (k < n)%nat -> (off + r < N)%nat ->
  rep (project o d (position_half (D + off)) (x k) r) (kron (off + r) k).
Proof.
  intros Hk Hr. rewrite <- Px by auto. rewrite Nat.add_assoc.
  apply rep_project_pick with (row := fun r => [pick (D + off + r)]) (u := u k); auto; lia.
Qed.
Lemma rep_dot_indicators dim a b f g : (a < dim)%nat ->
  (forall k, (k < dim)%nat -> rep (f k) (kron k a)) -> (forall k, (k < dim)%nat -> rep (g k) (b k)) ->
  (forall k, (k < dim)%nat -> F (b k)) -> rep (dot o dim f g) (b a).
Proof.
  intros Ha Hf Hg Fb. unfold dot. apply rep_eq with (kron a a * b a + 0); [|rewrite kron_same; lra].
  apply (exact_affine _ _ _ _ X) with (u := fun k => kron k a); auto.
  - intros k Hk. split; [apply F_kron|auto].
  - apply rep_zero.
  - intros k Hk Hne. rewrite kron_diff by auto. lra.
  - rewrite kron_same, Rmult_1_l. auto.
  - apply FG, X.
  - rewrite kron_same, Rmult_1_l, Rplus_0_r. auto.
Qed.
Lemma rep_score_self value : rep (score o d (self_head D N value) x i j) (kron j i).
Proof.
  unfold score. cbn [self_head head_dim W_Q W_K]. rewrite kron_sym.
  pose proof (fun k Hk r Hr => rep_position_half 0 k r Hk Hr) as P. rewrite Nat.add_0_r in P.
  apply rep_dot_indicators with (a := i) (b := fun r => kron r j); try lia; try (intros; apply P; lia).
  intros. apply F_kron.
Qed.
Lemma rep_score_position p value : (p < N)%nat ->
  rep (score o d (position_head D N p value) x i j) (kron j p).
Proof.
  intros Hp. unfold score. cbn [position_head head_dim W_Q W_K]. rewrite kron_sym.
  apply rep_dot_indicators with (a := 0%nat) (b := fun _ => kron p j); try lia; [| |intros; apply F_kron].
  - intros k Hk. replace k with 0%nat by lia. rewrite kron_same.
    rewrite <- (kron_same i), <- Px by (auto; lia).
    apply rep_apply_total with (row := fun _ => [total D N]) (s := D) (k := N); auto; try lia.
    + intros c Hc Hne. replace c with (D + (c - D))%nat by lia. rewrite Px by (auto; lia).
      apply kron_diff. lia.
  - intros k Hk. rewrite <- Px by auto.
    apply rep_project_pick with (row := fun _ => [pick (D + p)]) (u := u j); auto; lia.
Qed.
Lemma rep_score_back K value : N = (K + K)%nat -> (K <= i)%nat ->
  rep (score o d (back_head D K value) x i j) (kron j (i - K)).
Proof.
  intros HN HK. unfold score. cbn [back_head head_dim W_Q W_K]. rewrite kron_sym.
  apply rep_dot_indicators with (a := (i - K)%nat) (b := fun r => kron r j); try lia; [| |intros; apply F_kron].
  - intros k Hk. apply rep_eq with (kron (K + k) i); [apply rep_position_half; lia|].
    unfold kron. destruct (Nat.eqb_spec (K + k) i), (Nat.eqb_spec k (i - K)); auto; lia.
  - intros k Hk. pose proof (rep_position_half 0 j k Hj) as P. rewrite Nat.add_0_r in P.
    apply P. lia.
Qed.
End Scores.

(** ** The MLP *)
Section Decoder.
Variables (c : Q) (a b : nat -> Q) (V D i : nat) (h : vector A) (s : nat -> R).
Hypothesis Hi : (i < D)%nat.
Hypothesis Hh : forall r, (r < D)%nat -> rep (h r) (Q2R c * kron r i + s r).
Hypothesis Hs : forall r, (r < D)%nat -> 0 <= s r <= Q2R c.
Hypothesis Fs : forall r, (r < D)%nat -> F (s r).
Hypothesis Fh : forall r, (r < D)%nat -> F (Q2R c * kron r i + s r).
Hypothesis Fc : F (- Q2R c).
Hypothesis Fminus : forall r, (r < D)%nat -> F (s r - Q2R c).
Hypothesis Fab : forall v, (v < V)%nat ->
  F (Q2R (a v)) /\ G (Q2R (b v)) /\ G (Q2R (a v) * s i) /\ G (Q2R (a v) * s i + Q2R (b v)).

Lemma rep_layer d act gs x r u nr : stack gs r = nr ->
  rep (apply o d (by_rows (fun _ => fst nr)) (fun _ => snd nr) x r) u ->
  rep (layer_output o (layer d act gs) x r) (if act then Rmax 0 u else u).
Proof.
  intros E H. unfold layer_output, layer. cbn [in_dim weight bias activated].
  unfold apply, by_rows in *. rewrite E. destruct act; [now apply X|exact H].
Qed.

Lemma rep_decoder v : (v < V)%nat ->
  rep (mlp o (decoder_with c a b V D) h v) (Q2R (a v) * s i + Q2R (b v)).
Proof.
  intros Hv. unfold decoder_with, mlp. cbn [fold_left].
  set (z1 := layer_output o (layer D true _) h).
  assert (Z1 : forall r, (r < D)%nat -> rep (z1 r) (if (r =? i)%nat then s i else 0)).
  { intros r Hr. unfold z1.
    apply rep_eq with (Rmax 0 (Q2R 1 * (Q2R c * kron r i + s r) + Q2R (- c))).
    - eapply (rep_layer D true _ _ _ _ _ (stack_here _ _ _ _ Hr)). cbn [fst snd].
      apply (rep_apply_single D (fun _ => [pick r]) (fun _ => (- c)%Q) h
        (fun r => Q2R c * kron r i + s r) 1 r r); auto.
      + rewrite Q2R_1. apply X.
      + rewrite Q2R_1, Rmult_1_l. auto.
      + rewrite Q2R_opp. auto.
      + rewrite Q2R_1, Rmult_1_l, Q2R_opp. apply FG. unfold kron. destruct (Nat.eqb_spec r i) as [->|].
        * replace (Q2R c * 1 + s i + - Q2R c) with (s i) by ring. auto.
        * replace (Q2R c * 0 + s r + - Q2R c) with (s r - Q2R c) by ring. auto.
    - rewrite Q2R_1, Rmult_1_l, Q2R_opp. pose proof (Hs r Hr). unfold kron.
      destruct (Nat.eqb_spec r i) as [->|]; [rewrite Rmax_right|rewrite Rmax_left]; lra. }
  set (z2 := layer_output o (layer D true _) z1).
  assert (Z2 : rep (z2 0%nat) (s i)).
  { unfold z2. apply rep_eq with (Rmax 0 (if (i =? i)%nat then s i else 0)).
    - eapply (rep_layer D true _ _ _ _ _ (stack_here _ _ _ _ Nat.lt_0_1)). cbn [fst snd].
      apply (rep_apply_total D (fun _ => [total 0 D]) (fun _ => 0%Q) z1
        (fun r => if (r =? i)%nat then s i else 0) 0%nat D i 0%nat); auto; try lia.
      + intros j _. destruct (j =? i)%nat; [auto|apply X].
      + intros j _ Hne. now rewrite (proj2 (Nat.eqb_neq j i) Hne).
    - rewrite Nat.eqb_refl. now apply Rmax_right, Hs. }
  destruct (Fab v Hv) as (Fa & Fb & Fm & Fl).
  eapply (rep_layer 1 false _ _ _ _ _ (stack_here _ _ _ _ Hv)). cbn [fst snd].
  apply (rep_apply_single 1 (fun _ => [(a v, 0%nat, 1%nat)]) (fun _ => b v) z2
    (fun _ => s i) (a v) 0%nat v); auto.
  intros k Hk. now replace k with 0%nat by lia.
Qed.
End Decoder.
End Exact.
