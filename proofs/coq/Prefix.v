(** * Attention under a prefix (section 4): any weights, any prefix length, any heads *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas RealForward.
Import ListNotations.
Open Scope R_scope.

(** [p] free vectors [s] in front of the content [x]; every position sees them all. *)
Definition prefixed (p : nat) (s x : nat -> vector R) : nat -> vector R :=
  fun j => if (j <? p)%nat then s j else x (j - p)%nat.
Definition prefixed_mask (p : nat) (m : nat -> nat -> bool) : nat -> nat -> bool :=
  fun i j => (j <? p)%nat || m (i - p)%nat (j - p)%nat.

(** The weight that position [i] gives to [j]. *)
Definition attention_weight (T : head -> R) (d n : nat) (m : nat -> nat -> bool) (h : head)
    (x : nat -> vector R) (i j : nat) : R :=
  softmax (fun h _ => T h) h n (m i) (score real d h x i) j.

Section Prefix.
Variables (T : head -> R) (d p n : nat) (m : nat -> nat -> bool) (s x : nat -> vector R) (i : nat).
Hypothesis Hi : (i < n)%nat.
Hypothesis Hself : m i i = true.
Let x' := prefixed p s x.
Let m' := prefixed_mask p m.

(** How much attention position [i] of the content gives to the prefix. *)
Definition prefix_attention (h : head) : R :=
  Rsum p (attention_weight T d (p + n) m' h x' (p + i)).

Lemma prefixed_content j : x' (p + j)%nat = x j.
Proof.
  unfold x', prefixed. rewrite (proj2 (Nat.ltb_ge _ _)) by lia.
  now replace (p + j - p)%nat with j by lia.
Qed.
Lemma prefixed_prefix j : (j < p)%nat -> x' j = s j.
Proof. intros H. unfold x', prefixed. now rewrite (proj2 (Nat.ltb_lt _ _) H). Qed.
Lemma mask_content j : m' (p + i)%nat (p + j)%nat = m i j.
Proof.
  unfold m', prefixed_mask. rewrite (proj2 (Nat.ltb_ge _ _)) by lia. cbn [orb].
  now replace (p + i - p)%nat with i by lia; replace (p + j - p)%nat with j by lia.
Qed.
Lemma mask_prefix j : (j < p)%nat -> m' (p + i)%nat j = true.
Proof. intros H. unfold m', prefixed_mask. now rewrite (proj2 (Nat.ltb_lt _ _) H). Qed.

Section OneHead.
Variable h : head.
Let content := Rsum n (fun j => if m i j then exp (T h * score real d h x i j) else 0).
Let before := Rsum p (fun j => exp (T h * score real d h x' (p + i) j)).

Lemma content_positive : 0 < content.
Proof.
  unfold content. apply Rlt_le_trans with (exp (T h * score real d h x i i)); [apply exp_pos|].
  apply Rle_trans with (Rsum n (fun j => if (j =? i)%nat then exp (T h * score real d h x i i) else 0)).
  - right. rewrite (Rsum_single n i); auto; [now rewrite Nat.eqb_refl|].
    intros j _ Hj. now rewrite (proj2 (Nat.eqb_neq j i) Hj).
  - apply Rsum_le. intros j _. destruct (Nat.eqb_spec j i) as [->|Hj].
    + rewrite Hself. lra.
    + destruct (m i j); [left; apply exp_pos|lra].
Qed.
Lemma before_nonneg : 0 <= before.
Proof. apply Rsum_ge0. intros j _. left. apply exp_pos. Qed.

Lemma score_content j : score real d h x' (p + i) (p + j) = score real d h x i j.
Proof. unfold score. now rewrite !prefixed_content. Qed.
Lemma denominator :
  Rsum (p + n) (fun j => if m' (p + i)%nat j then exp (T h * score real d h x' (p + i) j) else 0)
  = before + content.
Proof.
  rewrite Rsum_split. f_equal; apply Rsum_ext; intros j Hj.
  - now rewrite mask_prefix.
  - now rewrite mask_content, score_content.
Qed.
Lemma weight_content j : attention_weight T d (p + n) m' h x' (p + i) (p + j)
  = (if m i j then exp (T h * score real d h x i j) else 0) / (before + content).
Proof.
  unfold attention_weight, softmax, normalise, zero. cbn [sum div of_Q real]. rewrite Q2R_0.
  rewrite denominator, mask_content, score_content. destruct (m i j); [reflexivity|].
  unfold Rdiv. now rewrite Rmult_0_l.
Qed.
Lemma weight_alone j : attention_weight T d n m h x i j
  = (if m i j then exp (T h * score real d h x i j) else 0) / content.
Proof.
  unfold attention_weight, softmax, normalise, zero. cbn [sum div of_Q real]. rewrite Q2R_0.
  destruct (m i j); [reflexivity|]. unfold Rdiv. now rewrite Rmult_0_l.
Qed.
Lemma prefix_attention_value : prefix_attention h = before / (before + content).
Proof.
  unfold prefix_attention, before, Rdiv. rewrite Rmult_comm, <- Rsum_scal. apply Rsum_ext.
  intros j Hj. unfold attention_weight, softmax, normalise, zero. cbn [sum div of_Q real].
  rewrite Q2R_0, denominator, mask_prefix by auto. unfold Rdiv, before. apply Rmult_comm.
Qed.
Lemma prefix_attention_bounds : 0 <= prefix_attention h < 1.
Proof.
  rewrite prefix_attention_value. pose proof content_positive. pose proof before_nonneg. split.
  - apply Rmult_le_pos; [auto|]. left. apply Rinv_0_lt_compat. lra.
  - apply Rmult_lt_reg_r with (before + content); [lra|].
    replace (before / (before + content) * (before + content)) with before by (field; lra). lra.
Qed.

(** The relative attention over content cannot change... *)
Theorem content_rescaled j :
  attention_weight T d (p + n) m' h x' (p + i) (p + j)
  = (1 - prefix_attention h) * attention_weight T d n m h x i j.
Proof.
  rewrite weight_content, weight_alone, prefix_attention_value.
  pose proof content_positive. pose proof before_nonneg. field. lra.
Qed.
(** ... so the output is moved towards the prefix's values, and in no other way. *)
Theorem head_biased r :
  attention real (softmax (fun h _ => T h)) d (p + n) m' h x' (p + i) r
  = (1 - prefix_attention h) * attention real (softmax (fun h _ => T h)) d n m h x i r
  + Rsum p (fun k => attention_weight T d (p + n) m' h x' (p + i) k * project real d (W_V h) (s k) r).
Proof.
  unfold attention at 1 2, dot, zero. cbn [affine of_Q real]. rewrite Q2R_0, !Rplus_0_r.
  rewrite Rsum_split, Rplus_comm. f_equal.
  - rewrite <- Rsum_scal. apply Rsum_ext. intros j _. rewrite prefixed_content, <- Rmult_assoc.
    f_equal. apply content_rescaled.
  - apply Rsum_ext. intros k Hk. now rewrite prefixed_prefix.
Qed.
End OneHead.

(** All heads of a layer, head by head. *)
Theorem layer_biased hs r :
  attention_layer real (softmax (fun h _ => T h)) d (p + n) m' hs x' (p + i) r
  = fold_right (fun h acc =>
      ((1 - prefix_attention h) * attention real (softmax (fun h _ => T h)) d n m h x i r
       + Rsum p (fun k => attention_weight T d (p + n) m' h x' (p + i) k
                          * project real d (W_V h) (s k) r)) + acc) 0 hs.
Proof.
  assert (F : forall (f : head -> R) hs,
    Rsum (length hs) (fun k => nth k (map f hs) 0) = fold_right (fun h acc => f h + acc) 0 hs).
  { intros f l. induction l as [|a l IH]; [reflexivity|]. cbn [length map fold_right].
    rewrite <- IH. change (S (length l)) with (1 + length l)%nat. rewrite Rsum_split.
    cbn [Rsum nth Nat.add]. lra. }
  unfold attention_layer, zero. cbn [sum of_Q real]. rewrite Q2R_0, F.
  induction hs as [|a l IH]; [reflexivity|]. cbn [fold_right]. now rewrite IH, head_biased.
Qed.
End Prefix.
