(** * Base-[V] digits: words, their indices, and packed values *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Psatz.
From PrefixProof Require Import Model Constructions SumLemmas.
Import ListNotations.

Section Digits.
Variable V : nat.
Hypothesis HV : (1 <= V)%nat.

Lemma word_cons k j t : (t < V ^ k)%nat -> word V (S k) (j * V ^ k + t) = j :: word V k t.
Proof.
  intros Ht. cbn [word]. assert (V ^ k <> 0)%nat by lia. f_equal.
  - rewrite Nat.div_add_l by auto. rewrite Nat.div_small; lia.
  - f_equal. rewrite Nat.add_comm, Nat.mod_add by auto. now apply Nat.mod_small.
Qed.

Open Scope Z_scope.
Lemma packed_ext D f g : (forall d, (d < D)%nat -> f d = g d) -> packed V D f = packed V D g.
Proof. induction D; intros H; cbn [packed]; auto. rewrite H, IHD by (intros; try apply H; lia). auto. Qed.
Lemma packed_range D f : (forall d, (d < D)%nat -> (f d < V)%nat) ->
  0 <= packed V D f < Z.of_nat V ^ Z.of_nat D.
Proof.
  induction D; intros H; cbn [packed]; [simpl; lia|].
  specialize (IHD ltac:(intros; apply H; lia)). pose proof (H D ltac:(lia)).
  rewrite Nat2Z.inj_succ, Z.pow_succ_r by lia. nia.
Qed.
(** The first digit is the most significant one. *)
Lemma packed_first D f :
  packed V (S D) f = Z.of_nat (f 0%nat) * Z.of_nat V ^ Z.of_nat D + packed V D (fun d => f (S d)).
Proof.
  induction D; [simpl; lia|]. cbn [packed] in *. rewrite IHD.
  rewrite Nat2Z.inj_succ, Z.pow_succ_r by lia. ring.
Qed.

Open Scope R_scope.
Lemma Q2R_power k : Q2R (power V k) = INR V ^ k.
Proof.
  unfold power. rewrite Q2R_inject, <- pow_IZR, <- INR_IZR_INZ. reflexivity.
Qed.
Lemma power_nonzero k : ~ (power V k == 0)%Q.
Proof.
  intros H. apply Qeq_eqR in H. rewrite Q2R_power, Q2R_0 in H. revert H.
  apply pow_nonzero. apply not_0_INR. lia.
Qed.
Lemma pow_pos k : 0 < INR V ^ k.
Proof. apply pow_lt, lt_0_INR. lia. Qed.
Lemma packed_fraction D f :
  IZR (packed V D f) / INR V ^ D = Rsum D (fun t => INR (f t) / INR V ^ S t).
Proof.
  assert (P : forall k, INR V ^ k <> 0) by (intros; apply pow_nonzero, not_0_INR; lia).
  induction D; cbn [packed Rsum]; [simpl; lra|].
  rewrite <- IHD, plus_IZR, mult_IZR, <- !INR_IZR_INZ. cbn [pow].
  field. split; [apply P|apply not_0_INR; lia].
Qed.
End Digits.

Lemma word_length V k d : length (word V k d) = k.
Proof. revert d. induction k; intros d; cbn [word length]; auto. Qed.
Lemma word_tokens V k d v : (1 <= V)%nat -> (d < V ^ k)%nat -> In v (word V k d) -> (v < V)%nat.
Proof.
  intros HV. revert d. induction k; intros d Hd; cbn [word]; [intros []|].
  assert (V ^ k <> 0)%nat by (apply Nat.pow_nonzero; lia).
  intros [<-|H'].
  - apply Nat.div_lt_upper_bound; auto. rewrite Nat.mul_comm. exact Hd.
  - apply (IHk (d mod V ^ k)%nat); auto. now apply Nat.mod_upper_bound.
Qed.
