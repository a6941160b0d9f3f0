(** * Matrix units of GPUs: one block, bit by bit

    A block adds up to [products] products and one more number.  Every term is truncated
    to a multiple of [2^(E - fraction_bits)], where [E] is the largest exponent among the
    terms; the truncated terms are added exactly; the sum is truncated to the 24 bits of
    binary32.  The first half is executable, over [Z].  The second half says what it means
    over the reals, how far it is from the exact sum, and when it is equal to it. *)

From Coq Require Import List Bool ZArith Reals Lra Lia.
From Flocq Require Import Core.
Import ListNotations.
Open Scope Z_scope.

(** ** The algorithm *)

(** The number [Fnum * 2^Fexp]. *)
Notation number := (float radix2).

Record matrix_unit := MatrixUnit {
  products : nat;                                      (* in a block *)
  fraction_bits : Z;                                   (* kept below the largest exponent *)
  zero_order : Z }.                                    (* the exponent that a term of 0 counts with *)

(** The exponent of a number's leading bit; a subnormal number has its format's least one. *)
Definition order (least : Z) (x : number) : Z := Z.max (Z.log2 (Z.abs (Fnum x)) + Fexp x) least.
Definition least_order : Z := -126.                    (* of binary32 *)

(** A term with the exponent that it counts with: significands are multiplied and not normalised. *)
Notation term := (number * Z)%type.
Definition product (least : Z) (ab : number * number) : term :=
  (Float radix2 (Fnum (fst ab) * Fnum (snd ab)) (Fexp (fst ab) + Fexp (snd ab)),
   order least (fst ab) + order least (snd ab)).
Definition accumulator (c : number) : term := (c, order least_order c).

Definition counted_order (u : matrix_unit) (t : term) : Z :=
  if Fnum (fst t) =? 0 then zero_order u else snd t.
Definition largest_order (u : matrix_unit) (c : term) (ts : list term) : Z :=
  fold_right (fun t e => Z.max (counted_order u t) e) (counted_order u c) ts.
(** The exponent of the last place that a block keeps. *)
Definition last_place (u : matrix_unit) (c : term) (ts : list term) : Z :=
  largest_order u c ts - fraction_bits u.

(** How many times [2^place] a number is, truncated toward zero. *)
Definition truncated (place : Z) (x : number) : Z :=
  if place <=? Fexp x then Fnum x * 2 ^ (Fexp x - place) else Z.quot (Fnum x) (2 ^ (place - Fexp x)).
Definition inexact (place : Z) (x : number) : bool :=
  negb (truncated place x * 2 ^ Z.max 0 (place - Fexp x) =? Fnum x * 2 ^ Z.max 0 (Fexp x - place)).
Definition inexact_terms (place : Z) (ts : list term) : nat :=
  length (filter (fun t => inexact place (fst t)) ts).

(** [precision] bits, no place below [least], toward zero. *)
Definition toward_zero (precision least : Z) (x : number) : number :=
  let place := Z.max (Z.log2 (Z.abs (Fnum x)) + 1 + Fexp x - precision) least in
  Float radix2 (truncated place x) place.

Definition truncated_sum (place : Z) (ts : list term) : number :=
  Float radix2 (fold_right (fun t s => truncated place (fst t) + s) 0 ts) place.
Definition block_of_terms (u : matrix_unit) (c : term) (ts : list term) : number :=
  toward_zero 24 (-149) (truncated_sum (last_place u c ts) (c :: ts)).

(** One block: at most [products] products of a format whose least exponent is [least],
    filled up with zeros, and [c] of binary32. *)
Definition no_number : number := Float radix2 0 0.
Definition filled (u : matrix_unit) (abs : list (number * number)) : list (number * number) :=
  abs ++ repeat (no_number, no_number) (products u - length abs).
Definition block (u : matrix_unit) (least : Z) (abs : list (number * number)) (c : number) : number :=
  block_of_terms u (accumulator c) (map (product least) (filled u abs)).

(** A longer product: a chain of blocks, in ascending order. *)
Fixpoint chain (u : matrix_unit) (least : Z) (blocks : list (list (number * number))) (c : number) : number :=
  match blocks with
  | [] => c
  | b :: bs => chain u least bs (block u least b c)
  end.
Fixpoint blocks_of {A} (fuel size : nat) (xs : list A) : list (list A) :=
  match fuel, xs with
  | S fuel, _ :: _ => firstn size xs :: blocks_of fuel size (skipn size xs)
  | _, _ => []
  end.
Definition dot (u : matrix_unit) (least : Z) (abs : list (number * number)) (c : number) : number :=
  chain u least (blocks_of (length abs) (products u) abs) c.

(** ** The units with a binary32 result *)
Definition volta_fp16 := MatrixUnit 4 23 (-131).
Definition turing_fp16 := MatrixUnit 8 24 (-132).
Definition ampere := MatrixUnit 8 24 (-132).           (* fp16, bf16; Ada has the same *)
Definition ampere_tf32 := MatrixUnit 4 24 (-132).
Definition hopper := MatrixUnit 16 25 (-133).          (* fp16, bf16; Blackwell has the same *)
Definition hopper_tf32 := MatrixUnit 8 25 (-133).
Definition blackwell := hopper.
Definition blackwell_tf32 := hopper_tf32.

(** ** Meaning over the reals *)
Open Scope R_scope.
Notation value := (@F2R radix2).
Notation multiple place := (generic_format radix2 (FIX_exp place)).
Notation truncate place := (round radix2 (FIX_exp place) Ztrunc).
Notation binary32_number := (generic_format radix2 (FLT_exp (-149) 24)).
Notation to_binary32 := (round radix2 (FLT_exp (-149) 24) Ztrunc).
Global Instance prec_24 : Prec_gt_0 24 := eq_refl.

Definition total (f : number -> R) (ts : list term) : R :=
  fold_right (fun t s => f (fst t) + s) 0 ts.
Notation exact_sum := (total value).

Lemma value_scaled x place : value x = IZR (Fnum x) * bpow radix2 (Fexp x - place) * bpow radix2 place.
Proof. unfold F2R. rewrite Rmult_assoc, <- bpow_plus. do 2 f_equal. lia. Qed.
Lemma power z : (0 <= z)%Z -> IZR (2 ^ z) = bpow radix2 z.
Proof. intros H. now rewrite <- (IZR_Zpower radix2) by exact H. Qed.

Lemma truncated_scaled place x :
  truncated place x = Ztrunc (IZR (Fnum x) * bpow radix2 (Fexp x - place)).
Proof.
  unfold truncated. destruct (Z.leb_spec place (Fexp x)).
  - rewrite <- power, <- mult_IZR by lia. now rewrite Ztrunc_IZR.
  - rewrite <- (Z.opp_involutive (Fexp x - place)), bpow_opp, <- power by lia.
    replace (- (Fexp x - place))%Z with (place - Fexp x)%Z by lia.
    symmetry. apply Ztrunc_div. apply Z.pow_nonzero; lia.
Qed.
Lemma truncated_correct place x : IZR (truncated place x) * bpow radix2 place = truncate place (value x).
Proof.
  rewrite truncated_scaled. unfold round, scaled_mantissa, cexp, FIX_exp. cbn [F2R Fnum Fexp].
  unfold F2R at 1. cbn [Fnum Fexp]. rewrite (value_scaled x place), Rmult_assoc, <- bpow_plus.
  now rewrite Z.add_opp_diag_r, Rmult_1_r.
Qed.

Lemma mag_number x : Fnum x <> 0%Z -> (mag radix2 (value x) = Z.log2 (Z.abs (Fnum x)) + 1 + Fexp x :> Z)%Z.
Proof.
  intros H. destruct x as [m e]. cbn [Fnum Fexp] in *. rewrite mag_F2R by auto. f_equal.
  destruct (Z.log2_spec (Z.abs m)) as [L1 L2]; [lia|]. pose proof (Z.log2_nonneg (Z.abs m)).
  apply mag_unique. rewrite <- abs_IZR.
  replace (Z.log2 (Z.abs m) + 1 - 1)%Z with (Z.log2 (Z.abs m)) by lia.
  rewrite <- !power by lia. split; [now apply IZR_le|now apply IZR_lt].
Qed.
Lemma value_0 x : Fnum x = 0%Z -> value x = 0.
Proof. intros H. unfold F2R. rewrite H. apply Rmult_0_l. Qed.
Lemma value_neq_0 x : Fnum x <> 0%Z -> value x <> 0.
Proof.
  intros H. unfold F2R. apply Rmult_integral_contrapositive_currified; [now apply IZR_neq|].
  apply Rgt_not_eq, bpow_gt_0.
Qed.

Lemma toward_zero_correct p least x :
  value (toward_zero p least x) = round radix2 (FLT_exp least p) Ztrunc (value x).
Proof.
  unfold toward_zero. set (place := Z.max _ _). unfold F2R at 1. cbn [Fnum Fexp].
  rewrite truncated_correct. destruct (Z.eq_dec (Fnum x) 0) as [H|H].
  - now rewrite value_0, !round_0 by auto with typeclass_instances.
  - unfold round, scaled_mantissa, cexp, FIX_exp, FLT_exp. now rewrite mag_number.
Qed.

Lemma truncated_sum_correct place ts :
  value (truncated_sum place ts) = total (fun x => truncate place (value x)) ts.
Proof.
  unfold truncated_sum, F2R. cbn [Fnum Fexp]. induction ts as [|t ts IH]; cbn [fold_right total]; [apply Rmult_0_l|].
  rewrite plus_IZR, Rmult_plus_distr_r, truncated_correct, IH. reflexivity.
Qed.

(** What a block computes. *)
Lemma block_meaning u c ts : value (block_of_terms u c ts) =
  to_binary32 (total (fun x => truncate (last_place u c ts) (value x)) (c :: ts)).
Proof. unfold block_of_terms. now rewrite toward_zero_correct, truncated_sum_correct. Qed.

(** ** The error of a block *)
Lemma exact_multiple place x : inexact place x = false <-> multiple place (value x).
Proof.
  assert (E : inexact place x = false <-> truncate place (value x) = value x).
  { unfold inexact. rewrite negb_false_iff, Z.eqb_eq, <- truncated_correct, (value_scaled x place).
    pose proof (bpow_gt_0 radix2 place) as P. set (t := truncated place x).
    destruct (Z.le_gt_cases place (Fexp x)).
    - rewrite (Z.max_l 0 (place - Fexp x)), (Z.max_r 0 (Fexp x - place)) by lia.
      rewrite Z.pow_0_r, Z.mul_1_r, <- (power (Fexp x - place)), <- mult_IZR by lia. split; intros Q.
      + now rewrite Q.
      + apply Rmult_eq_reg_r in Q; [|now apply Rgt_not_eq]. now apply eq_IZR.
    - rewrite (Z.max_r 0 (place - Fexp x)), (Z.max_l 0 (Fexp x - place)), Z.pow_0_r, Z.mul_1_r by lia.
      pose proof (power (place - Fexp x) ltac:(lia)) as W.
      assert (B : bpow radix2 (place - Fexp x) * bpow radix2 (Fexp x - place) = 1).
      { rewrite <- bpow_plus. now replace (place - Fexp x + (Fexp x - place))%Z with 0%Z by lia. }
      split; intros Q.
      + rewrite <- Q, mult_IZR, W. rewrite (Rmult_assoc (IZR t)), B. ring.
      + apply Rmult_eq_reg_r in Q; [|now apply Rgt_not_eq]. apply eq_IZR. rewrite mult_IZR, W, Q, Rmult_assoc.
        rewrite (Rmult_comm (bpow _ (Fexp x - place))), B. ring. }
  rewrite E. split; intros H.
  - rewrite <- H. apply generic_format_round; auto with typeclass_instances.
  - apply round_generic; auto with typeclass_instances.
Qed.

Lemma truncation_error place ts :
  Rabs (total (fun x => truncate place (value x)) ts - exact_sum ts)
  <= INR (inexact_terms place ts) * bpow radix2 place.
Proof.
  unfold inexact_terms. induction ts as [|t ts IH]; cbn [total fold_right filter].
  - simpl. rewrite Rminus_0_r, Rabs_R0. lra.
  - fold (total (fun x => truncate place (value x)) ts) (exact_sum ts).
    set (a := truncate place (value (fst t))) in *. set (b := value (fst t)) in *.
    replace (_ - _) with ((a - b) + (total (fun x => truncate place (value x)) ts - exact_sum ts)) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. destruct (inexact place (fst t)) eqn:I.
    + cbn [length]. rewrite S_INR, Rmult_plus_distr_r, Rmult_1_l.
      rewrite (Rplus_comm (INR _ * _)). apply Rplus_le_compat; auto.
      rewrite <- (ulp_FIX radix2 place b). apply error_le_ulp; auto with typeclass_instances.
    + apply exact_multiple in I. unfold a. rewrite round_generic by auto with typeclass_instances.
      unfold b. rewrite Rminus_diag_eq, Rabs_R0 by reflexivity. lra.
Qed.

Lemma rounding_error r : Rabs (to_binary32 r - r) <= Rmax (bpow radix2 (-23) * Rabs r) (bpow radix2 (-149)).
Proof.
  eapply Rle_trans; [apply error_le_ulp; auto with typeclass_instances|].
  destruct (Rle_or_lt (bpow radix2 (-149 + 24 - 1)) (Rabs r)) as [L|L].
  - eapply Rle_trans; [now apply ulp_FLT_le|]. rewrite Rmult_comm. apply Rmax_l.
  - assert (S : Rabs r < bpow radix2 (-149 + 24)) by (eapply Rlt_trans; [exact L|]; now apply bpow_lt).
    rewrite (ulp_FLT_small radix2 (-149) 24 r S). apply Rmax_r.
Qed.

(** Truncation makes no term larger. *)
Lemma truncate_abs place r : Rabs (truncate place r) <= Rabs r.
Proof.
  destruct (Rle_or_lt 0 r) as [H|H].
  - rewrite (round_ZR_DN radix2 (FIX_exp place)) by auto.
    rewrite !Rabs_pos_eq; [|exact H|].
    + apply round_DN_pt; auto with typeclass_instances.
    + apply round_ge_generic; auto with typeclass_instances. apply generic_format_0.
  - rewrite (round_ZR_UP radix2 (FIX_exp place)) by lra.
    assert (round radix2 (FIX_exp place) Zceil r <= 0).
    { apply round_le_generic; auto with typeclass_instances; [apply generic_format_0|lra]. }
    rewrite !Rabs_left1 by lra. apply Ropp_le_contravar. apply round_UP_pt; auto with typeclass_instances.
Qed.
Lemma truncated_sum_abs place ts :
  Rabs (total (fun x => truncate place (value x)) ts) <= total (fun x => Rabs (value x)) ts.
Proof.
  induction ts as [|t ts IH]; cbn [total fold_right]; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat; auto using truncate_abs.
Qed.

Theorem block_error u c ts : let place := last_place u c ts in
  Rabs (value (block_of_terms u c ts) - exact_sum (c :: ts))
  <= INR (inexact_terms place (c :: ts)) * bpow radix2 place
     + Rmax (bpow radix2 (-23) * Rabs (value (truncated_sum place (c :: ts)))) (bpow radix2 (-149)).
Proof.
  intros place. rewrite block_meaning, truncated_sum_correct. fold place.
  set (s := total (fun x => truncate place (value x)) (c :: ts)).
  replace (_ - _) with ((to_binary32 s - s) + (s - exact_sum (c :: ts))) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rplus_comm.
  apply Rplus_le_compat; [apply truncation_error|apply rounding_error].
Qed.

(** ** When nothing is rounded *)
Theorem block_exact u c ts :
  (forall t, In t (c :: ts) -> multiple (last_place u c ts) (value (fst t))) ->
  binary32_number (exact_sum (c :: ts)) -> value (block_of_terms u c ts) = exact_sum (c :: ts).
Proof.
  intros Hm Hs. rewrite block_meaning.
  assert (E : total (fun x => truncate (last_place u c ts) (value x)) (c :: ts) = exact_sum (c :: ts)).
  { revert Hm. generalize (last_place u c ts) as place. intros place. clear Hs.
    induction (c :: ts) as [|t l IH]; intros Hm; [reflexivity|]. cbn [total fold_right].
    rewrite round_generic by (auto with typeclass_instances; apply Hm; now left).
    f_equal. apply IH. intros x I. apply Hm. now right. }
  rewrite E. apply round_generic; auto with typeclass_instances.
Qed.

(** Numbers on a common grid: every term is a multiple of [2^g], no term counts with an
    exponent above [g + fraction_bits], and the sum has at most 24 bits. *)
Lemma multiple_weaken place g r : (place <= g)%Z -> multiple g r -> multiple place r.
Proof.
  intros H M. apply FIX_format_generic in M. destruct M as [[m e] -> E]. cbn [Fexp] in E. subst e.
  apply generic_format_F2R. intros _. exact H.
Qed.
Lemma multiple_binary32 g r : (-149 <= g)%Z -> multiple g r -> Rabs r <= bpow radix2 (g + 24) ->
  binary32_number r.
Proof.
  intros H M B. apply FIX_format_generic in M. destruct M as [[m e] -> E]. cbn [Fexp] in E. subst e.
  destruct (Req_dec (Rabs (value (Float radix2 m g))) (bpow radix2 (g + 24))) as [Q|Q].
  - assert (G : binary32_number (bpow radix2 (g + 24))) by (apply generic_format_bpow; unfold FLT_exp; lia).
    rewrite <- Q in G. unfold Rabs in G. destruct (Rcase_abs _); auto.
    rewrite <- Ropp_involutive. now apply generic_format_opp.
  - apply generic_format_FLT. exists (Float radix2 m g); [reflexivity| |exact H]. cbn [Fnum].
    rewrite <- F2R_Zabs in B, Q. change (Z.abs m < 2 ^ 24)%Z. apply lt_IZR. rewrite power by lia.
    apply Rmult_lt_reg_r with (bpow radix2 g); [apply bpow_gt_0|]. rewrite <- bpow_plus, Z.add_comm.
    unfold F2R in B, Q. cbn [Fnum Fexp] in B, Q. lra.
Qed.
Lemma total_multiple g ts : (forall t, In t ts -> multiple g (value (fst t))) -> multiple g (exact_sum ts).
Proof.
  induction ts as [|t ts IH]; intros H; [apply generic_format_0|].
  destruct (FIX_format_generic _ _ _ (H t (or_introl eq_refl))) as [[m e] E1 E2].
  destruct (FIX_format_generic _ _ _ (IH (fun x I => H x (or_intror I)))) as [[m' e'] E1' E2'].
  cbn [Fexp] in *. subst. apply generic_format_FIX. exists (Float radix2 (m + m') g); [|reflexivity].
  cbn [total fold_right]. fold (exact_sum ts). rewrite E1, E1'. unfold F2R. cbn [Fnum Fexp].
  rewrite plus_IZR. ring.
Qed.
Lemma fold_max_le (u : matrix_unit) c ts b : (forall t, In t (c :: ts) -> (counted_order u t <= b)%Z) ->
  (largest_order u c ts <= b)%Z.
Proof.
  intros H. unfold largest_order. induction ts as [|t ts IH]; cbn [fold_right].
  - apply H. now left.
  - apply Z.max_lub; [apply H; right; now left|]. apply IH. intros x [->|I]; apply H; [now left|right; now right].
Qed.
Theorem block_on_grid u c ts g : (-149 <= g)%Z ->
  (forall t, In t (c :: ts) -> multiple g (value (fst t)) /\ (counted_order u t <= g + fraction_bits u)%Z) ->
  Rabs (exact_sum (c :: ts)) <= bpow radix2 (g + 24) ->
  value (block_of_terms u c ts) = exact_sum (c :: ts).
Proof.
  intros Hg H B. apply block_exact.
  - intros t I. apply multiple_weaken with g; [|now apply H].
    assert (L := fold_max_le u c ts (g + fraction_bits u) (fun t I => proj2 (H t I))).
    unfold last_place. lia.
  - apply multiple_binary32 with g; auto. apply total_multiple. intros t I. now apply H.
Qed.

(** ** The largest term *)
(** Not subnormal in a format whose least exponent is [least], or 0. *)
Definition normal (least : Z) (x : number) : Prop :=
  Fnum x <> 0%Z -> (least <= Z.log2 (Z.abs (Fnum x)) + Fexp x)%Z.
Lemma order_normal least x : normal least x -> Fnum x <> 0%Z ->
  bpow radix2 (order least x) <= Rabs (value x).
Proof.
  intros H N. unfold order. rewrite Z.max_l by auto.
  replace (Z.log2 (Z.abs (Fnum x)) + Fexp x)%Z with (mag radix2 (value x) - 1)%Z by (rewrite mag_number by auto; lia).
  apply bpow_mag_le. now apply value_neq_0.
Qed.
Lemma largest_order_reached u c ts : exists t, In t (c :: ts) /\ counted_order u t = largest_order u c ts.
Proof.
  unfold largest_order. induction ts as [|t ts (x & I & E)]; cbn [fold_right].
  - exists c. split; [now left|reflexivity].
  - destruct (Z.max_spec (counted_order u t) (fold_right (fun t e => Z.max (counted_order u t) e) (counted_order u c) ts))
      as [[_ ->]|[_ ->]]; [exists x; split; [destruct I; [now left|right; now right]|exact E]|].
    exists t. split; [right; now left|reflexivity].
Qed.
(** Where no number is subnormal, a term of magnitude [2^E] or more is there, or a 0 sets [E]. *)
Theorem largest_term u least abs c :
  Forall (fun ab => normal least (fst ab) /\ normal least (snd ab)) abs -> normal least_order c ->
  let ts := map (product least) (filled u abs) in
  exists t, In t (accumulator c :: ts) /\
    (bpow radix2 (largest_order u (accumulator c) ts) <= Rabs (value (fst t)) \/
     value (fst t) = 0 /\ largest_order u (accumulator c) ts = zero_order u).
Proof.
  intros Hab Hc ts. destruct (largest_order_reached u (accumulator c) ts) as (t & I & E).
  exists t. split; [exact I|]. rewrite <- E. unfold counted_order.
  destruct (Z.eqb_spec (Fnum (fst t)) 0) as [Z|N]; [right; split; [now apply value_0|reflexivity]|left].
  destruct I as [<-|I]; [now apply order_normal|].
  apply in_map_iff in I. destruct I as (ab & <- & I). cbn [product fst snd Fnum] in *.
  assert (A : Fnum (fst ab) <> 0%Z) by (intros Q; apply N; rewrite Q; ring).
  assert (B : Fnum (snd ab) <> 0%Z) by (intros Q; apply N; rewrite Q; ring).
  assert (H : normal least (fst ab) /\ normal least (snd ab)).
  { unfold filled in I. apply in_app_iff in I. destruct I as [I|I].
    - rewrite Forall_forall in Hab. auto.
    - apply repeat_spec in I. subst ab. now destruct A. }
  destruct H as [H1 H2]. apply order_normal in H1, H2; auto.
  replace (value _) with (value (fst ab) * value (snd ab)).
  - rewrite Rabs_mult, bpow_plus. apply Rmult_le_compat; auto using bpow_ge_0.
  - unfold F2R. cbn. rewrite mult_IZR, bpow_plus. ring.
Qed.
