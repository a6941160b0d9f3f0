(** * Longer user inputs over the reals: [n] user tokens, [n] blocks *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward Decoding Digits
  UnconditionalGeneration ConditionalGeneration.
Import ListNotations.
Open Scope R_scope.

(** ** Two saturating units make a step *)

(** From a distance [w >= 0] below a threshold: 1 if [w <= 1/4], 0 if [w >= 3/4]. *)
Definition reached (w : R) : R := Rmax 0 (3 / 2 - 2 * w) - Rmax 0 (1 / 2 - 2 * w).
Lemma reached_range w : 0 <= w -> 0 <= reached w <= 1.
Proof. intros H. unfold reached, Rmax. destruct (Rle_dec _ _), (Rle_dec _ _); lra. Qed.
Lemma reached_yes w : 0 <= w <= 1 / 4 -> reached w = 1.
Proof. intros H. unfold reached. rewrite !Rmax_right; lra. Qed.
Lemma reached_no w : 3 / 4 <= w -> reached w = 0.
Proof. intros H. unfold reached. rewrite !Rmax_left; lra. Qed.

(** A value within 1/4 of 0 or 1 is restored exactly. *)
Definition restored (v : R) : R := Rmax 0 (2 * v - 1 / 2) - Rmax 0 (2 * v - 3 / 2).
Lemma restored_range v : 0 <= restored v <= 1.
Proof. unfold restored, Rmax. destruct (Rle_dec _ _), (Rle_dec _ _); lra. Qed.
Lemma restored_kron v a b : Rabs (v - kron a b) <= 1 / 4 -> restored v = kron a b.
Proof.
  intros H. apply Rabs_bound in H. unfold restored, kron in *.
  destruct (a =? b)%nat; [rewrite !Rmax_right|rewrite !Rmax_left]; lra.
Qed.

(** The digit of [r = f P + rest + error]: how many of [P, 2P, ...] it reaches. *)
Definition digit_of (W : nat) (P r : R) : R :=
  Rsum W (fun c => reached (Rmax 0 (- r + INR (S c) * P))).
Lemma digit_of_range W P r : 0 <= digit_of W P r <= INR W.
Proof.
  unfold digit_of. rewrite <- (Rmult_1_r (INR W)), <- Rsum_const. split.
  - apply Rsum_ge0. intros. apply reached_range, Rmax_l.
  - apply Rsum_le. intros. apply reached_range, Rmax_l.
Qed.
Lemma count_below W f : (f <= W)%nat -> Rsum W (fun c => if (c <? f)%nat then 1 else 0) = INR f.
Proof.
  intros H. replace W with (f + (W - f))%nat by lia. rewrite Rsum_split.
  rewrite (Rsum_ext f _ (fun _ => 1)), Rsum_const, Rsum_0; [lra| |].
  - intros k _. now rewrite (proj2 (Nat.ltb_ge _ _)) by lia.
  - intros k Hk. now rewrite (proj2 (Nat.ltb_lt _ _)) by lia.
Qed.
Lemma digit_of_exact W P r f rest : (f <= W)%nat -> 0 <= rest <= P - 1 ->
  Rabs (r - (INR f * P + rest)) <= 1 / 4 -> digit_of W P r = INR f.
Proof.
  intros Hf Hr He. apply Rabs_bound in He. rewrite <- (count_below W f Hf). apply Rsum_ext.
  intros c Hc. destruct (Nat.ltb_spec c f) as [L|L].
  - apply reached_yes. split; [apply Rmax_l|]. apply Rmax_lub; [lra|].
    pose proof (le_INR (S c) f L). nra.
  - apply reached_no. eapply Rle_trans; [|apply Rmax_r].
    assert (INR f + 1 <= INR (S c)) by (rewrite <- S_INR; apply le_INR; lia). nra.
Qed.

Section Unpacking.
Variables (V n : nat).
Hypothesis HV : (1 <= V)%nat.
Notation N := (S n).
Notation W := (pred V).

(** ** One round: [compare] then [step] *)
Section Round.
Variables (cols : nat) (P : Q) (remainder : list term) (k : nat)
  (dig token position : nat -> list term) (u : nat -> R).
Hypothesis F1 : fits cols remainder.
Hypothesis F2 : forall j, (j < k)%nat -> fits cols (dig j).
Hypothesis F3 : forall j, (j < V)%nat -> fits cols (token j).
Hypothesis F4 : forall j, (j < N)%nat -> fits cols (position j).
Let y := layer_output real (compare V n cols P remainder k dig token position) u.
Let z := layer_output real (step V n k) y.
Let rho := form remainder u.

Lemma compare_threshold c : (c < W)%nat -> y c = Rmax 0 (- rho + INR (S c) * Q2R P).
Proof.
  intros Hc. unfold y, compare.
  rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Hc)) by (apply fits_scale, F1).
  cbn [fst snd]. rewrite form_scale. fold rho. rewrite Q2R_mult, Q2R_inject, <- INR_IZR_INZ.
  f_equal. replace (Q2R (-1 # 1)) with (-1) by (unfold Q2R; simpl; lra). lra.
Qed.
Lemma compare_rest r nr : stack
    [(1%nat, fun _ => (remainder, 0%Q)); (k, fun j => (dig j, 0%Q));
     (V, fun r => (token r, 0%Q)); (N, fun r => (position r, 0%Q))] r = nr ->
  fits cols (fst nr) -> snd nr = 0%Q -> y (W + r)%nat = Rmax 0 (form (fst nr) u).
Proof.
  intros E F Z. unfold y, compare. rewrite (layer_relu _ _ _ _ nr); auto.
  - rewrite Z, Q2R_0. f_equal. lra.
  - rewrite stack_next. exact E.
Qed.
Lemma compare_remainder : y W = Rmax 0 rho.
Proof.
  replace W with (W + 0)%nat by lia.
  now rewrite (compare_rest 0 (remainder, 0%Q) eq_refl F1 eq_refl).
Qed.
Lemma compare_digit j : (j < k)%nat -> y (W + (1 + j))%nat = Rmax 0 (form (dig j) u).
Proof.
  intros H. rewrite (compare_rest (1 + j) (dig j, 0%Q)); auto.
  - rewrite stack_next. now rewrite stack_here.
  - now apply F2.
Qed.
Lemma compare_token j : (j < V)%nat -> y (W + (1 + (k + j)))%nat = Rmax 0 (form (token j) u).
Proof.
  intros H. rewrite (compare_rest (1 + (k + j)) (token j, 0%Q)); auto.
  - rewrite !stack_next. now rewrite stack_here.
  - now apply F3.
Qed.
Lemma compare_position j : (j < N)%nat ->
  y (W + (1 + (k + (V + j))))%nat = Rmax 0 (form (position j) u).
Proof.
  intros H. rewrite (compare_rest (1 + (k + (V + j))) (position j, 0%Q)); auto.
  - rewrite !stack_next. now rewrite stack_here.
  - now apply F4.
Qed.

Lemma step_upper c : (c < W)%nat -> z c = Rmax 0 (3 / 2 - 2 * y c).
Proof.
  intros Hc. unfold z, step. rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Hc)) by fit.
  cbn [fst snd]. rewrite form_scale, form_pick. f_equal.
  replace (Q2R (-2 # 1)) with (-2) by (unfold Q2R; simpl; lra).
  replace (Q2R (3 # 2)) with (3 / 2) by (unfold Q2R; simpl; lra). lra.
Qed.
Lemma step_rest r nr : stack
    [(W, fun c => (scale (-2 # 1) [pick c], (1 # 2)%Q)); (1%nat, fun _ => ([pick W], 0%Q));
     (k, fun j => ([pick (W + (1 + j))], 0%Q)); (V, fun r => ([pick (W + (1 + (k + r)))], 0%Q));
     (N, fun r => ([pick (W + (1 + (k + (V + r))))], 0%Q))] r = nr ->
  fits (W + (1 + (k + (V + N)))) (fst nr) -> z (W + r)%nat = Rmax 0 (form (fst nr) y + Q2R (snd nr)).
Proof.
  intros E F. unfold z, step. rewrite (layer_relu _ _ _ _ nr); auto. rewrite stack_next. exact E.
Qed.
Lemma step_lower c : (c < W)%nat -> z (W + c)%nat = Rmax 0 (1 / 2 - 2 * y c).
Proof.
  intros Hc. rewrite (step_rest c _ (stack_here _ _ _ _ Hc)) by fit.
  cbn [fst snd]. rewrite form_scale, form_pick. f_equal.
  replace (Q2R (-2 # 1)) with (-2) by (unfold Q2R; simpl; lra).
  replace (Q2R (1 # 2)) with (1 / 2) by (unfold Q2R; simpl; lra). lra.
Qed.
Lemma step_carried r c : stack
    [(1%nat, fun _ => ([pick W], 0%Q));
     (k, fun j => ([pick (W + (1 + j))], 0%Q)); (V, fun r => ([pick (W + (1 + (k + r)))], 0%Q));
     (N, fun r => ([pick (W + (1 + (k + (V + r))))], 0%Q))] r = ([pick c], 0%Q) ->
  (c < W + (1 + (k + (V + N))))%nat -> z (W + (W + r))%nat = Rmax 0 (y c).
Proof.
  intros E F. rewrite (step_rest (W + r) ([pick c], 0%Q)); [|now rewrite stack_next|fit].
  cbn [fst snd]. rewrite form_pick, Q2R_0. f_equal. lra.
Qed.

(** What a round does. *)
Lemma round_newest : form (newest_digit V) z = digit_of W (Q2R P) rho.
Proof.
  unfold newest_digit, total. rewrite !form_step, form_nil, Q2R_1.
  replace (Q2R (-1 # 1)) with (-1) by (unfold Q2R; simpl; lra).
  rewrite Rplus_0_r, Rmult_1_l, <- Rsum_scal, <- Rsum_plus. apply Rsum_ext. intros c Hc.
  cbn [Nat.add]. rewrite step_upper, step_lower, <- compare_threshold by auto.
  unfold reached. lra.
Qed.
Lemma Rmax_twice a : Rmax 0 (Rmax 0 a) = Rmax 0 a.
Proof. apply Rmax_right, Rmax_l. Qed.
Lemma round_remainder : z (W + W)%nat = Rmax 0 rho.
Proof.
  replace (W + W)%nat with (W + (W + 0))%nat by lia.
  rewrite (step_carried 0 W eq_refl) by lia. rewrite compare_remainder. apply Rmax_twice.
Qed.
Lemma round_digit j : (j < k)%nat -> z (W + (W + (1 + j)))%nat = Rmax 0 (form (dig j) u).
Proof.
  intros H. rewrite (step_carried (1 + j) (W + (1 + j))); [|now rewrite stack_next, stack_here|lia].
  rewrite compare_digit by auto. apply Rmax_twice.
Qed.
Lemma round_token j : (j < V)%nat -> z (W + (W + (1 + (k + j))))%nat = Rmax 0 (form (token j) u).
Proof.
  intros H. rewrite (step_carried (1 + (k + j)) (W + (1 + (k + j))));
    [|now rewrite !stack_next, stack_here|lia].
  rewrite compare_token by auto. apply Rmax_twice.
Qed.
Lemma round_position j : (j < N)%nat ->
  z (W + (W + (1 + (k + (V + j)))))%nat = Rmax 0 (form (position j) u).
Proof.
  intros H. rewrite (step_carried (1 + (k + (V + j))) (W + (1 + (k + (V + j)))));
    [|now rewrite !stack_next, stack_here|lia].
  rewrite compare_position by auto. apply Rmax_twice.
Qed.
End Round.

(** ** The loop over the digits *)
Section Loop.
Variables (D : nat) (tok pos : nat -> R).
Hypothesis Htok : forall r, 0 <= tok r.
Hypothesis Hpos : forall r, 0 <= pos r.

(** At every position, whatever it holds: tokens and positions are carried, digits bounded. *)
Definition carried (k : nat) (u : nat -> R) : Prop :=
  (forall j, (j <= k)%nat -> 0 <= form (digit V k j) u <= INR W) /\
  (forall r, (r < V)%nat -> u (W + (W + (1 + (k + r))))%nat = tok r) /\
  (forall r, (r < N)%nat -> u (W + (W + (1 + (k + (V + r)))))%nat = pos r).

(** At a position that holds the packed digits [f 0, ..., f (D-1)]. *)
Variable f : nat -> nat.
Hypothesis Hf : forall d, (d < D)%nat -> (f d < V)%nat.
Definition left_over (k : nat) : R := IZR (packed V (D - k) (fun d => f (k + d)%nat)).
Definition unpacked (k : nat) (u : nat -> R) : Prop :=
  (forall j, (j <= k)%nat -> form (digit V k j) u = INR (f j)) /\
  Rabs (u (W + W)%nat - left_over k) <= 1 / 4.

Lemma left_over_first k : (k < D)%nat ->
  left_over k = INR (f k) * INR V ^ (D - (k + 1)) + left_over (S k).
Proof.
  intros Hk. unfold left_over. replace (D - k)%nat with (S (D - S k)) by lia.
  rewrite packed_first by auto. rewrite plus_IZR, mult_IZR, <- INR_IZR_INZ, <- pow_IZR, <- INR_IZR_INZ.
  rewrite Nat.add_0_r. replace (D - (k + 1))%nat with (D - S k)%nat by lia. do 2 f_equal.
  apply packed_ext; auto. intros d _. f_equal. lia.
Qed.
Lemma left_over_range k : (k <= D)%nat -> 0 <= left_over k <= INR V ^ (D - k) - 1.
Proof.
  intros Hk. unfold left_over.
  destruct (packed_range V HV (D - k) (fun d => f (k + d)%nat)) as [L U].
  { intros d Hd. apply Hf. lia. }
  split; [now apply (IZR_le 0)|].
  replace (INR V ^ (D - k) - 1) with (IZR (Z.of_nat V ^ Z.of_nat (D - k) - 1)).
  - apply IZR_le. lia.
  - rewrite minus_IZR, <- pow_IZR, <- INR_IZR_INZ. reflexivity.
Qed.
Lemma digit_exact k r : (k < D)%nat -> Rabs (r - left_over k) <= 1 / 4 ->
  digit_of W (INR V ^ (D - (k + 1))) r = INR (f k).
Proof.
  intros Hk Hr. apply digit_of_exact with (rest := left_over (S k)).
  - pose proof (Hf k Hk). lia.
  - replace (D - (k + 1))%nat with (D - S k)%nat by lia. now apply left_over_range.
  - now rewrite <- left_over_first.
Qed.
Lemma clip_error r k : (k <= D)%nat -> Rabs (r - left_over k) <= 1 / 4 ->
  Rabs (Rmax 0 r - left_over k) <= 1 / 4.
Proof.
  intros Hk H. apply Rabs_bound in H. pose proof (left_over_range k Hk). apply Rabs_le.
  unfold Rmax. destruct (Rle_dec 0 r); lra.
Qed.

Lemma digit_carried k j u : (j < k)%nat -> form (digit V k j) u = u (W + (W + (1 + j)))%nat.
Proof. intros H. unfold digit. rewrite (proj2 (Nat.ltb_lt _ _) H). apply form_pick. Qed.
Lemma digit_newest k u : form (digit V k k) u = form (newest_digit V) u.
Proof. unfold digit. now rewrite Nat.ltb_irrefl. Qed.
Lemma fits_digit k j d : (j <= k)%nat -> (W + (W + (1 + k)) <= d)%nat -> fits d (digit V k j).
Proof.
  intros Hj Hd. unfold digit, newest_digit. destruct (Nat.ltb_spec j k); fit.
Qed.
Lemma fits_newest d : (W + W <= d)%nat -> fits d (newest_digit V).
Proof. intros Hd. unfold newest_digit. fit. Qed.

Definition next (k : nat) (u : nat -> R) : nat -> R :=
  layer_output real (step V n (S k)) (layer_output real (compare_next V n D k) u).

Section Next.
Variables (k : nat) (u : nat -> R).
Let A1 : fits (step_width V n k)
  (pick (W + W) :: scale (- power V (D - (k + 1))) (newest_digit V)).
Proof.
  unfold step_width. constructor; [cbn [fst snd pick]; lia|]. apply fits_scale, fits_newest. lia.
Qed.
Let A2 : forall j, (j < S k)%nat -> fits (step_width V n k) (digit V k j).
Proof. intros j Hj. apply fits_digit; unfold step_width; lia. Qed.
Let A3 : forall j, (j < V)%nat -> fits (step_width V n k) [pick (W + (W + (1 + (k + j))))].
Proof. intros j Hj. unfold step_width. fit. Qed.
Let A4 : forall j, (j < N)%nat -> fits (step_width V n k) [pick (W + (W + (1 + (k + (V + j)))))].
Proof. intros j Hj. unfold step_width. fit. Qed.

Lemma next_carried : carried k u -> carried (S k) (next k u).
Proof.
  intros (Hd & Ht & Hp). unfold next, compare_next. repeat split.
  - destruct (Nat.eq_dec j (S k)) as [->|Hj].
    + rewrite digit_newest, round_newest by auto. apply digit_of_range.
    + rewrite digit_carried, round_digit by (auto; lia). apply Rmax_l.
  - destruct (Nat.eq_dec j (S k)) as [->|Hj].
    + rewrite digit_newest, round_newest by auto. apply digit_of_range.
    + rewrite digit_carried, round_digit by (auto; lia). apply Rmax_lub; [apply pos_INR|].
      apply Hd. lia.
  - intros r Hr. rewrite round_token by auto. rewrite form_pick, Ht by auto. now apply Rmax_right.
  - intros r Hr. rewrite round_position by auto. rewrite form_pick, Hp by auto. now apply Rmax_right.
Qed.
Lemma next_unpacked : (S k < D)%nat -> unpacked k u -> unpacked (S k) (next k u).
Proof.
  intros HD [Hd Hr].
  assert (E : Rabs (form (pick (W + W) :: scale (- power V (D - (k + 1))) (newest_digit V)) u
    - left_over (S k)) <= 1 / 4).
  { rewrite form_cons, form_pick, form_scale, Q2R_opp, Q2R_power, <- (digit_newest k), Hd by auto.
    rewrite left_over_first in Hr by lia.
    match goal with |- Rabs ?a <= _ => match type of Hr with Rabs ?b <= _ => replace a with b by ring end end.
    exact Hr. }
  unfold next, compare_next. split.
  - intros j Hj. destruct (Nat.eq_dec j (S k)) as [->|Hne].
    + rewrite digit_newest, round_newest by auto. rewrite Q2R_power.
      replace (k + 2)%nat with (S k + 1)%nat by lia. now apply digit_exact.
    + rewrite digit_carried, round_digit by (auto; lia). rewrite Hd by lia.
      apply Rmax_right, pos_INR.
  - rewrite round_remainder by auto. apply clip_error; [lia|exact E].
Qed.
End Next.

Lemma loop_carried k u : carried 0 u ->
  carried k (mlp real (flat_map (fun k => [compare_next V n D k; step V n (S k)]) (seq 0 k)) u).
Proof.
  intros H. induction k; [exact H|]. rewrite seq_S, flat_map_app. unfold mlp in *.
  rewrite fold_left_app. now apply next_carried.
Qed.
Lemma loop_unpacked k u : (k < D)%nat -> unpacked 0 u ->
  unpacked k (mlp real (flat_map (fun k => [compare_next V n D k; step V n (S k)]) (seq 0 k)) u).
Proof.
  intros Hk H. induction k; [exact H|]. rewrite seq_S, flat_map_app. unfold mlp in *.
  rewrite fold_left_app. apply next_unpacked; auto. apply IHk. lia.
Qed.
End Loop.

(** ** The MLP of a block: [select], the rounds, [pack] *)
Section BlockMLP.
Variables (D K : nat) (x : nat -> R).
Hypothesis HD : D = (K * V)%nat.
Hypothesis HK : (1 <= K)%nat.
Let tok (r : nat) : R := restored (x (V + r)%nat).
Let pos (r : nat) : R := restored (x (V + (V + r))%nat).
Let selected := layer_output real (select V n) x.
Let start := layer_output real (step V n 0) (layer_output real (compare_first V n D) selected).

Let D1 : (1 <= D)%nat.
Proof. rewrite HD. nia. Qed.

Lemma select_kept r : (r < V)%nat -> selected r = Rmax 0 (x r - 1).
Proof.
  intros Hr. unfold selected, select. rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Hr)) by fit.
  cbn [fst snd]. rewrite form_pick. f_equal. unfold Q2R; simpl; lra.
Qed.
Lemma select_unit off c b : stack
    [ (V, fun r => ([pick r], (-1 # 1)%Q)); (V, fun r => (scale 2 [pick (V + r)], (-1 # 2)%Q));
      (V, fun r => (scale 2 [pick (V + r)], (-3 # 2)%Q));
      (N, fun r => (scale 2 [pick (V + (V + r))], (-1 # 2)%Q));
      (N, fun r => (scale 2 [pick (V + (V + r))], (-3 # 2)%Q)) ] off = (scale 2 [pick c], b) ->
  (c < V + (V + N))%nat -> selected off = Rmax 0 (2 * x c + Q2R b).
Proof.
  intros E F. unfold selected, select. rewrite (layer_relu _ _ _ _ _ E) by fit.
  cbn [fst snd]. rewrite form_scale, form_pick. f_equal.
  replace (Q2R 2) with 2 by (unfold Q2R; simpl; lra). reflexivity.
Qed.

Let B1 : fits (V + (V + (V + (N + N)))) (scale (power V D) [total 0 V]).
Proof. apply fits_scale. fit. Qed.
Let B3 : forall j, (j < V)%nat ->
  fits (V + (V + (V + (N + N)))) [pick (V + j); (-1 # 1, V + (V + j), 1)%nat].
Proof. intros. fit. Qed.
Let B4 : forall j, (j < N)%nat -> fits (V + (V + (V + (N + N))))
  [pick (V + (V + (V + j))); (-1 # 1, V + (V + (V + (N + j))), 1)%nat].
Proof. intros. fit. Qed.
Let B2 : forall j, (j < 0)%nat -> fits (V + (V + (V + (N + N)))) ((fun _ => []) j).
Proof. intros. lia. Qed.

Lemma form_difference a b u : form [pick a; (-1 # 1, b, 1)%nat] u = u a - u b.
Proof.
  rewrite form_cons, form_pick, form_step, form_nil. cbn [Rsum]. rewrite Nat.add_0_r.
  replace (Q2R (-1 # 1)) with (-1) by (unfold Q2R; simpl; lra). lra.
Qed.
Lemma half1 : Q2R (-1 # 2) = - (1 / 2). Proof. unfold Q2R; simpl; lra. Qed.
Lemma half3 : Q2R (-3 # 2) = - (3 / 2). Proof. unfold Q2R; simpl; lra. Qed.

Lemma start_carried : carried tok pos 0 start.
Proof.
  unfold start, compare_first. repeat split.
  - replace j with 0%nat by lia. rewrite digit_newest, round_newest by auto. apply digit_of_range.
  - replace j with 0%nat by lia. rewrite digit_newest, round_newest by auto. apply digit_of_range.
  - intros r Hr. rewrite round_token by auto. rewrite form_difference.
    rewrite (select_unit (V + r) (V + r) (-1 # 2)) by (rewrite ?stack_next, ?stack_here; auto; lia).
    rewrite (select_unit (V + (V + r)) (V + r) (-3 # 2)) by (rewrite ?stack_next, ?stack_here; auto; lia).
    rewrite half1, half3. apply Rmax_right. apply (restored_range (x (V + r)%nat)).
  - intros r Hr. rewrite round_position by auto. rewrite form_difference.
    rewrite (select_unit (V + (V + (V + r))) (V + (V + r)) (-1 # 2)) by (rewrite ?stack_next, ?stack_here; auto; lia).
    rewrite (select_unit (V + (V + (V + (N + r)))) (V + (V + r)) (-3 # 2)) by (rewrite ?stack_next, ?stack_here; auto; lia).
    rewrite half1, half3. apply Rmax_right. apply (restored_range (x (V + (V + r))%nat)).
Qed.

Section Exact.
Variable f : nat -> nat.
Hypothesis Hf : forall d, (d < D)%nat -> (f d < V)%nat.
Hypothesis Hx : Rabs (INR V ^ D * Rsum V (fun r => Rmax 0 (x r - 1)) - left_over D f 0) <= 1 / 4.

Lemma start_unpacked : unpacked D f 0 start.
Proof.
  assert (E : form (scale (power V D) [total 0 V]) selected
    = INR V ^ D * Rsum V (fun r => Rmax 0 (x r - 1))).
  { rewrite form_scale, form_total, Q2R_power by auto. f_equal. apply Rsum_ext.
    intros r Hr. now apply select_kept. }
  unfold start, compare_first. split.
  - intros j Hj. replace j with 0%nat by lia. rewrite digit_newest, round_newest by auto.
    rewrite Q2R_power by auto. replace (D - 1)%nat with (D - (0 + 1))%nat by lia.
    apply digit_exact; auto. now rewrite E.
  - rewrite round_remainder by auto. apply clip_error; [auto|lia|]. now rewrite E.
Qed.
End Exact.

Let final := mlp real (flat_map (fun k => [compare_next V n D k; step V n (S k)]) (seq 0 (D - 1))) start.
Let out := mlp real (unpack V n D) x.
Lemma out_pack : out = layer_output real (pack V n D) final.
Proof. unfold out, unpack, mlp. cbn [app fold_left]. now rewrite fold_left_app. Qed.
Lemma tok_nonneg r : 0 <= tok r. Proof. apply restored_range. Qed.
Lemma pos_nonneg r : 0 <= pos r. Proof. apply restored_range. Qed.
Lemma final_carried : carried tok pos (D - 1) final.
Proof. apply loop_carried; auto using tok_nonneg, pos_nonneg, start_carried. Qed.

Lemma form_flat_map g (q : nat -> Q) (h : nat -> list term) u :
  form (flat_map (fun t => scale (q t) (h t)) (seq 0 g)) u = Rsum g (fun t => Q2R (q t) * form (h t) u).
Proof.
  induction g; [reflexivity|]. rewrite seq_S, flat_map_app, form_app, IHg.
  cbn [flat_map]. rewrite app_nil_r, form_scale. reflexivity.
Qed.
Lemma fits_flat_map d g (q : nat -> Q) (h : nat -> list term) :
  (forall t, (t < g)%nat -> fits d (h t)) ->
  fits d (flat_map (fun t => scale (q t) (h t)) (seq 0 g)).
Proof.
  intros H. unfold fits. apply Forall_flat_map, Forall_forall. intros t Ht%in_seq.
  apply fits_scale, H. lia.
Qed.
Lemma index_bound j t : (j < V)%nat -> (t < K)%nat -> (j * K + t <= D - 1)%nat.
Proof. intros. rewrite HD. nia. Qed.
Lemma block_size : (D / V = K)%nat.
Proof. rewrite HD. apply Nat.div_mul. lia. Qed.

Lemma out_row j : (j < V)%nat ->
  out j = Rmax 0 (Rsum K (fun t => form (digit V (D - 1) (j * K + t)) final / INR V ^ S t)).
Proof.
  intros Hj. rewrite out_pack. unfold pack.
  rewrite (layer_relu _ _ _ _ _ (stack_here _ _ _ _ Hj)).
  - cbn [fst snd]. rewrite form_flat_map, block_size, Q2R_0, Rplus_0_r. f_equal.
    apply Rsum_ext. intros t _. rewrite Q2R_inv by now apply power_nonzero.
    rewrite Q2R_power by auto. unfold Rdiv. apply Rmult_comm.
  - cbn [fst]. apply fits_flat_map. rewrite block_size. intros t Ht.
    apply fits_digit; [now apply index_bound|unfold step_width; lia].
Qed.
Lemma out_token r : (r < V)%nat -> out (V + r)%nat = tok r.
Proof.
  intros Hr. rewrite out_pack. unfold pack.
  rewrite (layer_relu _ _ _ _ ([pick (W + (W + (1 + (D - 1 + r))))], 0%Q)).
  - cbn [fst snd]. destruct final_carried as (_ & T & _). rewrite form_pick, T, Q2R_0, Rplus_0_r by auto.
    apply Rmax_right, tok_nonneg.
  - rewrite stack_next. now rewrite stack_here.
  - unfold step_width. fit.
Qed.
Lemma out_position r : (r < N)%nat -> out (V + (V + r))%nat = pos r.
Proof.
  intros Hr. rewrite out_pack. unfold pack.
  rewrite (layer_relu _ _ _ _ ([pick (W + (W + (1 + (D - 1 + (V + r)))))], 0%Q)).
  - cbn [fst snd]. destruct final_carried as (_ & _ & P). rewrite form_pick, P, Q2R_0, Rplus_0_r by auto.
    apply Rmax_right, pos_nonneg.
  - rewrite !stack_next. now rewrite stack_here.
  - unfold step_width. fit.
Qed.
Lemma largest_row k : Rsum k (fun t => INR W / INR V ^ S t) = 1 - / INR V ^ k.
Proof.
  assert (E : INR W = INR V - 1) by (replace W with (V - 1)%nat by lia; rewrite minus_INR by lia; reflexivity).
  induction k; cbn [Rsum]; [simpl; lra|]. rewrite IHk, E. pose proof (pow_pos V HV k).
  assert (0 < INR V) by (apply lt_0_INR; lia). cbn [pow]. field. split; lra.
Qed.
Lemma out_row_range j : (j < V)%nat -> 0 <= out j <= 1.
Proof.
  intros Hj. rewrite out_row by auto. split; [apply Rmax_l|]. apply Rmax_lub; [lra|].
  pose proof (pow_pos V HV K) as PK. apply Rle_trans with (1 - / INR V ^ K).
  - rewrite <- largest_row. apply Rsum_le. intros t Ht.
    destruct final_carried as (C & _). destruct (C (j * K + t)%nat (index_bound j t Hj Ht)) as [_ U].
    apply Rmult_le_compat_r; auto. left. apply Rinv_0_lt_compat, (pow_pos V HV (S t)).
  - pose proof (Rinv_0_lt_compat _ PK). lra.
Qed.
Lemma out_row_exact f j : (forall d, (d < D)%nat -> (f d < V)%nat) ->
  Rabs (INR V ^ D * Rsum V (fun r => Rmax 0 (x r - 1)) - left_over D f 0) <= 1 / 4 ->
  (j < V)%nat -> out j = IZR (packed V K (fun t => f (j * K + t)%nat)) / INR V ^ K.
Proof.
  intros Hf Hx Hj. rewrite out_row by auto.
  assert (U : unpacked D f (D - 1) final).
  { apply loop_unpacked; auto; [lia|]. now apply start_unpacked. }
  rewrite packed_fraction by auto. destruct U as [U _].
  rewrite (Rsum_ext K _ (fun t => INR (f (j * K + t)%nat) / INR V ^ S t)).
  - apply Rmax_right, Rsum_ge0. intros t _. apply Rmult_le_pos; [apply pos_INR|].
    left. apply Rinv_0_lt_compat, (pow_pos V HV (S t)).
  - intros t Ht. rewrite U by now apply index_bound. reflexivity.
Qed.
End BlockMLP.
End Unpacking.

(** ** From block to block *)
Lemma forward_app nz n m bs1 bs2 x :
  forward real nz n m (bs1 ++ bs2) x = forward real nz n m bs2 (forward real nz n m bs1 x).
Proof. revert x. induction bs1; intros x; cbn [app forward]; auto. Qed.

(** The answers: a token for each word of [n] tokens. *)
Definition answers (V n : nat) (answer : list nat -> nat) : Prop :=
  forall xs, length xs = n -> (forall v, In v xs -> (v < V)%nat) -> (answer xs < V)%nat.

(** Each position sees itself, and the [l]-th user token sees its predecessor. *)
Definition sees_chain (n : nat) (m : mask) : Prop :=
  (forall i, (i <= n)%nat -> m (S n) i i = true) /\
  (forall l, (1 <= l <= n)%nat -> m (S n) l (l - 1)%nat = true).
Lemma sees_chain_causal n : sees_chain n causal.
Proof. split; intros; apply Nat.leb_le; lia. Qed.
Lemma sees_chain_full n : sees_chain n full.
Proof. now split. Qed.

(** Where block [l] finds tokens and positions, and its heads. *)
Definition token_at (V l : nat) : nat := if (l =? 1)%nat then O else V.
Definition position_at (V l : nat) : nat := if (l =? 1)%nat then V else (V + V)%nat.
Definition chain_self (V n l : nat) : head :=
  self_head (position_at V l) (S n) (carry_values V (token_at V l) (position_at V l)).
Definition chain_look (V n l : nat) : head :=
  position_head (position_at V l) (S n) (l - 1) (row_values V).
Definition answer_self (V n : nat) : head :=
  self_head (V + V) (S n) (by_rows (fun r => [pick (V + r)])).
Definition answer_look (V n : nat) : head :=
  position_head (V + V) (S n) (n - 1) embedding_half.

Section Chain.
Variables (V n : nat) (answer : list nat -> nat) (xs : list nat).
Hypothesis Hn : (2 <= n)%nat.
Hypothesis Hanswer : answers V n answer.
Hypothesis Lxs : length xs = n.
Hypothesis Hxs : forall v, In v xs -> (v < V)%nat.
Notation N := (S n).
Variables (nz : normaliser R) (beta : leak) (m : mask).
Hypothesis Hnz : leaks nz beta.
Hypothesis Hm : sees_chain n m.

Let HV : (1 <= V)%nat.
Proof. destruct xs as [|v l]; [simpl in Lxs; lia|]. specialize (Hxs v (or_introl eq_refl)). lia. Qed.
Let tok (i : nat) : nat := nth (i - 1) xs 0%nat.
Let Htok : forall i, (1 <= i <= n)%nat -> (tok i < V)%nat.
Proof. intros i Hi. apply Hxs, nth_In. lia. Qed.
(** Block [l] unpacks this table, at the coordinate [r] chosen by the [l]-th token. *)
Let table (l r : nat) (d : nat) : nat := answer (firstn (l - 1) xs ++ r :: word V (n - l) d).
Let candidate (l r : nat) : R :=
  IZR (packed V (V ^ (n - l)) (table l r)) / INR V ^ (V ^ (n - l)).
Let t (i : nat) : R := INR (count N (m N i)).

Lemma table_bound l r d : (1 <= l <= n)%nat -> (r < V)%nat -> (d < V ^ (n - l))%nat -> (table l r d < V)%nat.
Proof.
  intros Hl Hr Hd. apply Hanswer.
  - rewrite app_length. cbn [length]. rewrite firstn_length_le, word_length by lia. lia.
  - intros v [H|[<-|H]]%in_app_iff; auto.
    + apply Hxs. rewrite <- (firstn_skipn (l - 1) xs). apply in_app_iff. now left.
    + now apply (word_tokens V (n - l) d).
Qed.
Lemma candidate_range l r : (1 <= l <= n)%nat -> (r < V)%nat ->
  0 <= candidate l r <= 1 - / INR V ^ (V ^ (n - l)).
Proof.
  intros Hl Hr. unfold candidate. set (D := (V ^ (n - l))%nat). pose proof (pow_pos V HV D) as P.
  destruct (packed_range V HV D (table l r)) as [A B].
  { intros d Hd. now apply table_bound. }
  assert (A' : 0 <= IZR (packed V D (table l r))) by now apply (IZR_le 0).
  assert (B' : IZR (packed V D (table l r)) <= INR V ^ D - 1).
  { replace (INR V ^ D - 1) with (IZR (Z.of_nat V ^ Z.of_nat D - 1)).
    - apply IZR_le. lia.
    - rewrite minus_IZR, <- pow_IZR, <- INR_IZR_INZ. reflexivity. }
  split.
  - apply Rmult_le_pos; auto. left. now apply Rinv_0_lt_compat.
  - apply Rmult_le_reg_r with (INR V ^ D); auto.
    replace (IZR (packed V D (table l r)) / INR V ^ D * INR V ^ D) with (IZR (packed V D (table l r)))
      by (field; lra).
    replace ((1 - / INR V ^ D) * INR V ^ D) with (INR V ^ D - 1) by (field; lra). auto.
Qed.
Lemma firstn_token l : (1 <= l <= n)%nat -> firstn l xs = firstn (l - 1) xs ++ [tok l].
Proof.
  intros Hl. rewrite <- (firstn_skipn (l - 1) xs) at 1.
  replace l with ((l - 1) + 1)%nat at 1 by lia.
  rewrite firstn_app, firstn_length_le by lia.
  replace (l - 1 + 1 - (l - 1))%nat with 1%nat by lia.
  rewrite firstn_all2 by (rewrite firstn_length_le; lia). f_equal. unfold tok.
  rewrite <- (firstn_skipn (l - 1) xs) at 2. rewrite app_nth2; rewrite firstn_length_le by lia; [|lia].
  rewrite Nat.sub_diag. destruct (skipn (l - 1) xs) as [|v s] eqn:E; [|reflexivity].
  apply (f_equal (@length nat)) in E. rewrite skipn_length in E. simpl in E. lia.
Qed.

(** What holds before block [l]. *)
Record invariant (l : nat) (x : nat -> vector R) : Prop := {
  inv_position : forall i r, (i < N)%nat -> (r < N)%nat -> x i (position_at V l + r)%nat = kron r i;
  inv_token_range : forall i r, (i < N)%nat -> (r < V)%nat -> 0 <= x i (token_at V l + r)%nat <= 1;
  inv_token : forall i r, (1 <= i <= n)%nat -> (r < V)%nat -> x i (token_at V l + r)%nat = kron r (tok i);
  inv_row_range : forall i r, (i < N)%nat -> (r < V)%nat -> 0 <= x i r <= 1;
  inv_row : forall r, (r < V)%nat -> x (l - 1)%nat r = candidate l r }.

Lemma leak_of h i a : (i < N)%nat -> (a < N)%nat -> m N i a = true ->
  0 <= beta h N (count N (m N i)) /\ (t i - 1) * beta h N (count N (m N i)) <= 1.
Proof.
  intros Hi Ha Ma. refine (proj1 (Hnz h N (m N i) (fun j => kron j a) a Ha Ma _)). auto.
Qed.
(** A convex combination of values in [0, 1] stays near the one looked at. *)
Lemma leaked_sum (v : nat -> R) i a : (a < N)%nat -> m N i a = true ->
  (forall j, (j < N)%nat -> 0 <= v j <= 1) ->
  Rabs (Rsum_visible N (m N i) (fun j => v j - v a)) <= t i - 1.
Proof.
  intros Ha Ma Hv. rewrite <- (Rmult_1_r (t i - 1)).
  apply (Rsum_visible_bound N (m N i) _ a); auto; [lra|].
  intros k Hk _ _. pose proof (Hv k Hk). pose proof (Hv a Ha). apply Rabs_le. lra.
Qed.

Section Block.
Variables (l : nat) (x : nat -> vector R).
Hypothesis Hl : (1 <= l < n)%nat.
Hypothesis Hx : invariant l x.
Let D := digits V n l.
Let K := (V ^ (n - S l))%nat.
Let w := if (l =? 1)%nat then (V + N)%nat else (V + (V + N))%nat.
Let bs (i : nat) : R := beta (chain_self V n l) N (count N (m N i)).
Let bl (i : nat) : R := beta (chain_look V n l) N (count N (m N i)).
Let y (i : nat) : vector R :=
  attention_layer real nz w N (m N) [chain_self V n l; chain_look V n l] x i.

Lemma width_fits : (position_at V l + N <= w)%nat /\ (token_at V l + V <= w)%nat /\ (V <= w)%nat.
Proof. unfold position_at, token_at, w. destruct (l =? 1)%nat; lia. Qed.

Lemma self_attention i c v : (i < N)%nat ->
  (forall j, (j < N)%nat -> project real w (W_V (chain_self V n l)) (x j) c = v j) ->
  attention real nz w N (m N) (chain_self V n l) x i c
  = v i + bs i * Rsum_visible N (m N i) (fun j => v j - v i).
Proof.
  intros Hi Hv. pose proof width_fits as [F _].
  rewrite (attention_leaks nz beta _ _ _ _ _ _ i); auto.
  - cbv beta zeta. rewrite Hv by auto. unfold bs. do 2 f_equal.
    apply Rsum_visible_ext. intros j Hj _. now rewrite !Hv by auto.
  - apply Hm. lia.
  - intros j Hj. apply (score_self (position_at V l) N); auto. intros. now apply (inv_position l x Hx).
Qed.
Lemma look_attention c v : 
  (forall j, (j < N)%nat -> project real w (row_values V) (x j) c = v j) ->
  attention real nz w N (m N) (chain_look V n l) x l c
  = v (l - 1)%nat + bl l * Rsum_visible N (m N l) (fun j => v j - v (l - 1)%nat).
Proof.
  intros Hv. pose proof width_fits as [F _].
  rewrite (attention_leaks nz beta _ _ _ _ _ _ (l - 1)%nat); auto; try lia.
  - cbv beta zeta. cbn [chain_look position_head W_V]. rewrite Hv by lia. unfold bl. do 2 f_equal.
    apply Rsum_visible_ext. intros j Hj _. now rewrite !Hv by lia.
  - apply Hm. lia.
  - intros j Hj. apply (score_position (position_at V l) N); try lia.
    intros. now apply (inv_position l x Hx).
Qed.
Lemma look_nothing i c : (V <= c)%nat -> attention real nz w N (m N) (chain_look V n l) x i c = 0.
Proof.
  intros Hc. unfold attention, dot, zero. cbn [affine of_Q real]. rewrite Q2R_0, Rplus_0_r.
  apply Rsum_0. intros j _. cbn [chain_look position_head W_V]. unfold row_values.
  rewrite project_rows by (rewrite (proj2 (Nat.ltb_ge _ _) Hc); constructor).
  rewrite (proj2 (Nat.ltb_ge _ _) Hc), form_nil. lra.
Qed.

Lemma carry_row j r : (r < V)%nat ->
  project real w (W_V (chain_self V n l)) (x j) r = x j (token_at V l + r)%nat.
Proof.
  intros Hr. pose proof width_fits. cbn [chain_self self_head W_V]. unfold carry_values.
  rewrite project_rows; rewrite (proj2 (Nat.ltb_lt _ _) Hr); [apply form_pick|fit].
Qed.
Lemma carry_token j r : (r < V)%nat ->
  project real w (W_V (chain_self V n l)) (x j) (V + r)%nat = x j (token_at V l + r)%nat.
Proof.
  intros Hr. pose proof width_fits. cbn [chain_self self_head W_V]. unfold carry_values.
  rewrite project_rows; rewrite (proj2 (Nat.ltb_ge _ _)), (proj2 (Nat.ltb_lt (V + r) (V + V))) by lia;
   replace (V + r - V)%nat with r by lia; [apply form_pick|fit].
Qed.
Lemma carry_position j r : (r < N)%nat ->
  project real w (W_V (chain_self V n l)) (x j) (V + (V + r))%nat = x j (position_at V l + r)%nat.
Proof.
  intros Hr. pose proof width_fits. cbn [chain_self self_head W_V]. unfold carry_values.
  rewrite project_rows; rewrite (proj2 (Nat.ltb_ge _ V)), (proj2 (Nat.ltb_ge (V + (V + r)) (V + V))) by lia;
   replace (V + (V + r) - (V + V))%nat with r by lia; [apply form_pick|fit].
Qed.

(** Tokens and positions come out of attention within 1/4. *)
Hypothesis Hrestore : forall i, (i < N)%nat -> (t i - 1) * bs i <= 1 / 4.
Lemma near_token i r : (i < N)%nat -> (r < V)%nat ->
  Rabs (y i (V + r)%nat - x i (token_at V l + r)%nat) <= 1 / 4.
Proof.
  intros Hi Hr. unfold y. rewrite attention_layer_two, look_nothing by lia.
  rewrite (self_attention i (V + r) (fun j => x j (token_at V l + r)%nat)) by
    (auto; intros; now apply carry_token).
  destruct (leak_of (chain_self V n l) i i Hi Hi) as [B0 _]; [apply Hm; lia|].
  pose proof (leaked_sum (fun j => x j (token_at V l + r)%nat) i i Hi) as S.
  specialize (S ltac:(apply Hm; lia) ltac:(intros; now apply (inv_token_range l x Hx))).
  match goal with |- Rabs ?e <= _ => replace e with
    (bs i * Rsum_visible N (m N i) (fun j => x j (token_at V l + r)%nat - x i (token_at V l + r)%nat)) by ring end.
  rewrite Rabs_mult, (Rabs_pos_eq (bs i)) by exact B0.
  eapply Rle_trans; [apply Rmult_le_compat_l; [exact B0|exact S]|]. rewrite Rmult_comm. now apply Hrestore.
Qed.
Lemma near_position i r : (i < N)%nat -> (r < N)%nat ->
  Rabs (y i (V + (V + r))%nat - kron r i) <= 1 / 4.
Proof.
  intros Hi Hr. unfold y. rewrite attention_layer_two, look_nothing by lia.
  rewrite (self_attention i (V + (V + r)) (fun j => kron r j)).
  2:{ auto. }
  2:{ intros j Hj. rewrite carry_position by auto. now apply (inv_position l x Hx). }
  destruct (leak_of (chain_self V n l) i i Hi Hi) as [B0 _]; [apply Hm; lia|].
  pose proof (leaked_sum (fun j => kron r j) i i Hi) as S.
  specialize (S ltac:(apply Hm; lia) ltac:(intros; apply kron_range)).
  match goal with |- Rabs ?e <= _ => replace e with
    (bs i * Rsum_visible N (m N i) (fun j => kron r j - kron r i)) by ring end.
  rewrite Rabs_mult, (Rabs_pos_eq (bs i)) by exact B0.
  eapply Rle_trans; [apply Rmult_le_compat_l; [exact B0|exact S]|]. rewrite Rmult_comm. now apply Hrestore.
Qed.

(** The row at position [l]: own token + candidates + an error. *)
Lemma row_sum r : (r < V)%nat ->
  y l r - (kron r (tok l) + candidate l r)
  = bs l * Rsum_visible N (m N l) (fun j => x j (token_at V l + r)%nat - x l (token_at V l + r)%nat)
  + bl l * Rsum_visible N (m N l) (fun j => x j r - x (l - 1)%nat r).
Proof.
  intros Hr. pose proof width_fits as F. unfold y. rewrite attention_layer_two.
  rewrite (self_attention l r (fun j => x j (token_at V l + r)%nat)) by
    (try lia; intros; now apply carry_row).
  rewrite (look_attention r (fun j => x j r)).
  - rewrite (inv_token l x Hx), (inv_row l x Hx) by (auto; lia). ring.
  - intros j Hj. unfold row_values.
    rewrite project_rows; rewrite (proj2 (Nat.ltb_lt _ _) Hr); [apply form_pick|fit].
Qed.
Lemma row_error r : (r < V)%nat ->
  Rabs (y l r - (kron r (tok l) + candidate l r)) <= (t l - 1) * (bs l + bl l).
Proof.
  intros Hr. rewrite row_sum by auto. eapply Rle_trans; [apply Rabs_triang|].
  destruct (leak_of (chain_self V n l) l l) as [B0 _]; try (apply Hm); try lia.
  destruct (leak_of (chain_look V n l) l (l - 1)) as [B1 _]; try (apply Hm); try lia.
  rewrite Rmult_plus_distr_l, !Rabs_mult, (Rabs_pos_eq (bs l)), (Rabs_pos_eq (bl l)) by assumption.
  rewrite !(Rmult_comm (t l - 1)).
  apply Rplus_le_compat; (apply Rmult_le_compat_l; [assumption|]).
  - apply (leaked_sum (fun j => x j (token_at V l + r)%nat)); [lia|apply Hm; lia|].
    intros. now apply (inv_token_range l x Hx).
  - apply (leaked_sum (fun j => x j r)); [lia|apply Hm; lia|].
    intros. now apply (inv_row_range l x Hx).
Qed.
(** In the first block, with two visible keys and equal leaks, the errors cancel. *)
Lemma row_cancels r : (r < V)%nat -> l = 1%nat -> count N (m N 1%nat) = 2%nat -> bs l = bl l ->
  Rabs (y l r - (kron r (tok l) + candidate l r)) <= 0.
Proof.
  intros Hr E1 C Eb. rewrite row_sum, <- Eb, <- Rmult_plus_distr_l, <- Rsum_visible_plus by auto.
  assert (T0 : token_at V l = 0%nat) by (unfold token_at; now rewrite E1).
  rewrite (Rsum_visible_two _ _ _ l (l - 1) 2); try lia; try (apply Hm; lia).
  - rewrite T0. cbn [Nat.add]. match goal with |- Rabs ?e <= _ => replace e with 0 by ring end.
    rewrite Rabs_R0. lra.
  - now rewrite E1.
  - intros k Hk. rewrite T0. cbn [Nat.add].
    pose proof (inv_row_range l x Hx k r Hk Hr). pose proof (inv_row_range l x Hx l r ltac:(lia) Hr).
    pose proof (inv_row_range l x Hx (l - 1) r ltac:(lia) Hr). apply Rabs_le. lra.
Qed.

(** From here on the error is known to be small. *)
Variable eps : R.
Hypothesis Heps : INR V ^ D * eps <= 1 / 4.
Hypothesis Hrow : forall r, (r < V)%nat ->
  Rabs (y l r - (kron r (tok l) + candidate l r)) <= eps.

Lemma D_digits : D = (K * V)%nat.
Proof.
  unfold D, digits, K. replace (n - l)%nat with (S (n - S l)) by lia. cbn [Nat.pow]. lia.
Qed.
Lemma K_pos : (1 <= K)%nat.
Proof. unfold K. pose proof (Nat.pow_nonzero V (n - S l)). lia. Qed.

Lemma eps_nonneg : 0 <= eps.
Proof.
  eapply Rle_trans; [apply Rabs_pos|]. apply (Hrow (tok l)). apply Htok. lia.
Qed.
Lemma packed_value :
  Rabs (INR V ^ D * Rsum V (fun r => Rmax 0 (y l r - 1))
        - left_over V D (table l (tok l)) 0) <= 1 / 4.
Proof.
  pose proof (pow_pos V HV D) as P. pose proof eps_nonneg as E0.
  assert (Tl : (tok l < V)%nat) by (apply Htok; lia).
  assert (LO : left_over V D (table l (tok l)) 0 = INR V ^ D * candidate l (tok l)).
  { unfold left_over. rewrite Nat.sub_0_r.
    change (IZR (packed V D (table l (tok l)))
      = INR V ^ D * (IZR (packed V D (table l (tok l))) / INR V ^ D)). field. lra. }
  rewrite LO. rewrite (Rsum_single V (tok l)); auto.
  - destruct (candidate_range l (tok l) ltac:(lia) Tl) as [C0 _].
    pose proof (Rabs_bound _ _ (Hrow (tok l) Tl)) as H. rewrite kron_same in H.
    rewrite <- Rmult_minus_distr_l, Rabs_mult, (Rabs_pos_eq (INR V ^ D)) by lra.
    eapply Rle_trans; [|exact Heps]. apply Rmult_le_compat_l; [lra|].
    apply Rabs_le. unfold Rmax. destruct (Rle_dec _ _); lra.
  - intros r Hr Hne. destruct (candidate_range l r ltac:(lia) Hr) as [_ C1].
    change (V ^ (n - l))%nat with D in C1.
    pose proof (Rabs_bound _ _ (Hrow r Hr)) as H. rewrite kron_diff in H by auto.
    apply Rmax_left. assert (eps <= / INR V ^ D); [|lra].
    apply Rmult_le_reg_l with (INR V ^ D); auto. rewrite Rinv_r by lra. lra.
Qed.

Lemma block_invariant :
  invariant (S l) (block_output real nz N (m N) (unpacking_block V n l) x).
Proof.
  assert (E : forall i, block_output real nz N (m N) (unpacking_block V n l) x i
    = mlp real (unpack V n D) (y i)) by reflexivity.
  assert (T1 : token_at V (S l) = V).
  { unfold token_at. now rewrite (proj2 (Nat.eqb_neq (S l) 1)) by lia. }
  assert (P1 : position_at V (S l) = (V + V)%nat).
  { unfold position_at. now rewrite (proj2 (Nat.eqb_neq (S l) 1)) by lia. }
  split.
  - intros i r Hi Hr. rewrite E, P1, <- Nat.add_assoc.
    rewrite (out_position V n HV D K _ D_digits K_pos) by auto.
    apply restored_kron. now apply near_position.
  - intros i r Hi Hr. rewrite E, T1, (out_token V n HV D K _ D_digits K_pos) by auto.
    apply restored_range.
  - intros i r Hi Hr. rewrite E, T1, (out_token V n HV D K _ D_digits K_pos) by auto.
    apply restored_kron. rewrite <- (inv_token l x Hx) by auto. apply near_token; lia.
  - intros i r Hi Hr. rewrite E. now apply (out_row_range V n HV D K _ D_digits K_pos).
  - intros r Hr. rewrite E. replace (S l - 1)%nat with l by lia.
    rewrite (out_row_exact V n HV D K _ D_digits K_pos (table l (tok l))); auto.
    + unfold candidate. change (V ^ (n - S l))%nat with K. do 2 f_equal. apply packed_ext; auto.
      intros d Hd. unfold table. replace (S l - 1)%nat with l by lia.
      rewrite (firstn_token l), <- app_assoc by lia. cbn [app]. do 3 f_equal.
      replace (n - l)%nat with (S (n - S l)) by lia. unfold K. now apply word_cons.
    + intros d Hd. apply table_bound; auto; [lia|apply Htok; lia].
    + apply packed_value.
Qed.
End Block.

(** ** The first and the last block *)
Let tf := longer_inputs V n.
Let p := longer_inputs_prompt V n answer.
Let x0 := inputs real tf p xs.

Lemma first_invariant : invariant 1 x0.
Proof.
  assert (I3 : forall i r, (1 <= i <= n)%nat -> (r < V)%nat -> x0 i r = kron r (tok i)).
  { intros i r Hi Hr. unfold x0. rewrite inputs_token by (simpl; lia). apply Q2R_identity. }
  assert (I5 : forall r, (r < V)%nat -> x0 0%nat r = candidate 1 r).
  { intros r Hr. unfold x0. rewrite inputs_virtual by (simpl; lia).
    cbn [virtual_token p longer_inputs_prompt]. unfold Qdiv.
    rewrite Q2R_mult, Q2R_inv, Q2R_inject, Q2R_power by (auto; now apply power_nonzero). reflexivity. }
  assert (I4 : forall i r, (i < N)%nat -> (r < V)%nat -> 0 <= x0 i r <= 1).
  { intros i r Hi Hr. destruct i as [|i].
    - rewrite I5 by auto. pose proof (candidate_range 1 r ltac:(lia) Hr) as C.
      pose proof (Rinv_0_lt_compat _ (pow_pos V HV (V ^ (n - 1)))). lra.
    - rewrite I3 by lia. apply kron_range. }
  split; cbn [token_at position_at Nat.eqb Nat.add Nat.sub]; auto.
  intros i r Hi Hr. unfold x0. change V with (embedding_dim tf). now apply inputs_position.
Qed.

Lemma last_decodes x : invariant n x ->
  2 * INR V * ((t n - 1) * (beta (answer_self V n) N (count N (m N n))
                           + beta (answer_look V n) N (count N (m N n)))) < 1 ->
  decodes V (block_output real nz N (m N) (answering_block V n) x n) (answer xs).
Proof.
  intros Hx. set (bs := beta (answer_self V n) _ _). set (bl := beta (answer_look V n) _ _).
  set (e := (t n - 1) * (bs + bl)). intros He.
  assert (Ta : token_at V n = V).
  { unfold token_at. now rewrite (proj2 (Nat.eqb_neq n 1)) by lia. }
  assert (Pa : position_at V n = (V + V)%nat).
  { unfold position_at. now rewrite (proj2 (Nat.eqb_neq n 1)) by lia. }
  assert (Px : forall k r, (k < N)%nat -> (r < N)%nat -> x k (V + V + r)%nat = kron r k).
  { intros. rewrite <- Pa. now apply (inv_position n x Hx). }
  set (y := attention_layer real nz (V + (V + N)) N (m N) [answer_self V n; answer_look V n] x n).
  assert (Y : forall r, (r < V)%nat -> Rabs (y r - (kron r (tok n) + candidate n r)) <= e).
  { intros r Hr.
    assert (P1 : forall j, project real (V + (V + N)) (W_V (answer_self V n)) (x j) r
      = x j (V + r)%nat).
    { intros j. cbn [answer_self self_head W_V]. rewrite project_rows by fit. apply form_pick. }
    assert (P2 : forall j, project real (V + (V + N)) (W_V (answer_look V n)) (x j) r = x j r).
    { intros j. cbn [answer_look position_head W_V]. unfold embedding_half.
      rewrite project_rows by fit. apply form_pick. }
    unfold y. rewrite attention_layer_two.
    rewrite (attention_leaks nz beta _ _ _ (answer_self V n) _ _ n); auto; try (apply Hm; lia).
    2:{ intros j Hj. apply (score_self (V + V) N); auto; lia. }
    rewrite (attention_leaks nz beta _ _ _ (answer_look V n) _ _ (n - 1)%nat); try (apply Hm; lia); auto; try lia.
    2:{ intros j Hj. apply (score_position (V + V) N); auto; lia. }
    cbv beta zeta. fold bs bl. rewrite !P1, !P2.
    rewrite (Rsum_visible_ext _ _ _ (fun j => x j (V + r)%nat - x n (V + r)%nat)) by
      (intros; now rewrite P1).
    rewrite (Rsum_visible_ext _ _ (fun j => project real (V + (V + N)) (W_V (answer_look V n)) (x j) r - x (n - 1)%nat r)
      (fun j => x j r - x (n - 1)%nat r)) by (intros; now rewrite P2).
    pose proof (inv_token n x Hx n r ltac:(lia) Hr) as E1. rewrite Ta in E1.
    rewrite E1 at 1. rewrite (inv_row n x Hx r Hr) at 1.
    match goal with |- Rabs ?a <= _ => match a with
      | (?k + ?u) + (?c + ?v) - _ => replace a with (u + v) by ring end end.
    eapply Rle_trans; [apply Rabs_triang|].
    destruct (leak_of (answer_self V n) n n) as [B0 _]; try (apply Hm); try lia. fold bs in B0.
    destruct (leak_of (answer_look V n) n (n - 1)) as [B1 _]; try (apply Hm); try lia. fold bl in B1.
    unfold e. rewrite Rmult_plus_distr_l, !Rabs_mult, (Rabs_pos_eq bs), (Rabs_pos_eq bl) by assumption.
    rewrite !(Rmult_comm (t n - 1)).
    apply Rplus_le_compat; (apply Rmult_le_compat_l; [assumption|]).
    - apply (leaked_sum (fun j => x j (V + r)%nat)); [lia|apply Hm; lia|].
      pose proof (inv_token_range n x Hx) as TR. rewrite Ta in TR. intros. now apply TR.
    - apply (leaked_sum (fun j => x j r)); [lia|apply Hm; lia|].
      intros. now apply (inv_row_range n x Hx). }
  assert (PV : 1 <= INR V) by (apply INR_ge1; auto).
  assert (Cv : forall r, candidate n r = INR (answer (firstn (n - 1) xs ++ [r])) / INR V).
  { intros r. unfold candidate, table. rewrite Nat.sub_diag. cbn [Nat.pow packed word].
    rewrite Z.mul_0_l, Z.add_0_l, <- INR_IZR_INZ, pow_1. reflexivity. }
  assert (Ct : candidate n (tok n) = INR (answer xs) / INR V).
  { rewrite Cv, <- firstn_token by lia. now rewrite firstn_all2 by lia. }
  assert (Tn : (tok n < V)%nat) by (apply Htok; lia).
  assert (E0 : 0 <= e) by (eapply Rle_trans; [apply Rabs_pos|apply (Y (tok n) Tn)]).
  assert (EI : INR V * / INR V = 1) by (field; lra).
  assert (I : 0 < / INR V) by (apply Rinv_0_lt_compat; lra).
  eapply decodes_ext.
  { intros v Hv. symmetry. apply (decoder_logits V V y (tok n) v Hv Tn).
    intros r Hr Hne. pose proof (Rabs_bound _ _ (Y r Hr)) as B. rewrite kron_diff in B by auto.
    destruct (candidate_range n r ltac:(lia) Hr) as [_ C]. rewrite Nat.sub_diag in C.
    cbn [Nat.pow] in C. rewrite pow_1 in C. nra. }
  pose proof (Rabs_bound _ _ (Y (tok n) Tn)) as B. rewrite kron_same, Ct in B.
  set (s := INR (answer xs) / INR V) in *. set (z := y (tok n) - 1) in *.
  replace (y (tok n) - (1 + s)) with (z - s) in B by (unfold z; ring).
  assert (Es : INR V * s = INR (answer xs)) by (unfold s; field; lra).
  assert (S0 : 0 <= s) by (unfold s; apply Rmult_le_pos; [apply pos_INR|lra]).
  apply nearest_decodes; [now apply Hanswer|right|right].
  - pose proof (Rmax_r 0 z). assert (s - e <= Rmax 0 z) by lra. nra.
  - assert (Rmax 0 z <= s + e) by (apply Rmax_lub; lra). nra.
Qed.

Theorem chain_decodes :
  (forall l i, (1 <= l < n)%nat -> (i < N)%nat ->
     (t i - 1) * beta (chain_self V n l) N (count N (m N i)) <= 1 / 4) ->
  (forall l, (1 <= l < n)%nat ->
     let bs := beta (chain_self V n l) N (count N (m N l)) in
     let bl := beta (chain_look V n l) N (count N (m N l)) in
     INR V ^ digits V n l * ((t l - 1) * (bs + bl)) <= 1 / 4
     \/ (l = 1%nat /\ count N (m N 1%nat) = 2%nat /\ bs = bl)) ->
  2 * INR V * ((t n - 1) * (beta (answer_self V n) N (count N (m N n))
                           + beta (answer_look V n) N (count N (m N n)))) < 1 ->
  generate real tf nz m p xs 1 = [answer xs].
Proof.
  intros H1 H2 H3. apply generate_answer. cbn [prompt_size p longer_inputs_prompt].
  rewrite Lxs. replace (1 + n - 1)%nat with n by lia.
  unfold logits. cbn [prompt_size p longer_inputs_prompt]. rewrite Lxs.
  cbn [blocks tf longer_inputs vocab_size]. change (1 + n)%nat with N.
  rewrite forward_app. cbn [forward]. fold x0. apply last_decodes; auto.
  assert (G : forall k, (k <= n - 1)%nat ->
    invariant (S k) (forward real nz N (m N) (map (unpacking_block V n) (seq 1 k)) x0)).
  { induction k; intros Hk; [exact first_invariant|].
    rewrite seq_S, map_app, forward_app. cbn [map forward Nat.add].
    specialize (IHk ltac:(lia)). set (x := forward real nz N (m N) _ x0) in *.
    destruct (H2 (S k) ltac:(lia)) as [Hb|(E1 & C & Eb)].
    - eapply (block_invariant (S k) x ltac:(lia) IHk); [intros; apply H1; auto; lia|exact Hb|].
      intros r Hr. apply row_error; auto; lia.
    - apply (block_invariant (S k) x ltac:(lia) IHk) with (eps := 0); [intros; apply H1; auto; lia|lra|].
      intros r Hr. apply row_cancels; auto; lia. }
  replace n with (S (n - 1)) at 1 by lia. apply G. lia.
Qed.
End Chain.

(** ** Hardmax, and softmax from an explicit temperature on *)
Theorem longer_inputs_decode_hardmax V n answer xs m : (2 <= n)%nat -> answers V n answer ->
  length xs = n -> (forall v, In v xs -> (v < V)%nat) -> sees_chain n m ->
  generate real (longer_inputs V n) (hardmax real) m (longer_inputs_prompt V n answer) xs 1
  = [answer xs].
Proof.
  intros Hn Ha Lx Hx Hm. apply (chain_decodes V n answer xs Hn Ha Lx Hx _ _ m hardmax_leaks Hm).
  - intros. cbv beta. lra.
  - intros. left. unfold bs, bl. lra.
  - cbv beta. lra.
Qed.

(** Causal mask, the same inverse temperature in every head. *)
Theorem longer_inputs_decode_softmax V n answer xs tau : (2 <= n)%nat -> answers V n answer ->
  length xs = n -> (forall v, In v xs -> (v < V)%nat) ->
  3 * INR n <= exp tau ->
  (forall l, (2 <= l < n)%nat -> INR l * (8 * INR V ^ (V ^ (n - l)) - 1) <= exp tau) ->
  INR n * (4 * INR V - 1) < exp tau ->
  generate real (longer_inputs V n) (softmax (fun _ _ => tau)) causal
    (longer_inputs_prompt V n answer) xs 1 = [answer xs].
Proof.
  intros Hn Ha Lx Hx Q1 Q2 Q3. set (q := exp tau) in *. assert (Q : 0 < q) by apply exp_pos.
  assert (C : forall i, (i <= n)%nat -> count (S n) (causal (S n) i) = S i).
  { intros i Hi. apply count_prefix; [lia|]. intros j _. unfold causal.
    destruct (Nat.leb_spec j i), (Nat.ltb_spec j (S i)); auto; lia. }
  assert (L : forall h i, (i <= n)%nat ->
    softmax_leak (fun _ _ => tau) h (S n) (count (S n) (causal (S n) i)) = 1 / (q + INR i)).
  { intros h i Hi. unfold softmax_leak. fold q. rewrite C, S_INR by auto. do 2 f_equal. lra. }
  apply (chain_decodes V n answer xs Hn Ha Lx Hx _ _ causal (softmax_leaks (fun _ _ => tau)) (sees_chain_causal n)).
  - intros l i Hl Hi. rewrite L, C, S_INR by lia. pose proof (pos_INR i).
    assert (INR i <= INR n) by (apply le_INR; lia).
    apply Rmult_le_reg_r with (q + INR i); [lra|].
    replace ((INR i + 1 - 1) * (1 / (q + INR i)) * (q + INR i)) with (INR i) by (field; lra). lra.
  - intros l Hl. cbv zeta. rewrite !L by lia. destruct (Nat.eq_dec l 1) as [->|N1].
    + right. rewrite C by lia. auto.
    + left. rewrite C, S_INR by lia. specialize (Q2 l ltac:(lia)). pose proof (pos_INR l).
      fold (digits V n l) in Q2. set (B := INR V ^ digits V n l) in *.
      apply Rmult_le_reg_r with (q + INR l); [lra|].
      replace (B * ((INR l + 1 - 1) * (1 / (q + INR l) + 1 / (q + INR l))) * (q + INR l))
        with (2 * B * INR l) by (field; lra). lra.
  - rewrite !L, C, S_INR by lia. pose proof (pos_INR n).
    apply Rmult_lt_reg_r with (q + INR n); [lra|].
    replace (2 * INR V * ((INR n + 1 - 1) * (1 / (q + INR n) + 1 / (q + INR n))) * (q + INR n))
      with (INR n * (4 * INR V)) by (field; lra). lra.
Qed.
