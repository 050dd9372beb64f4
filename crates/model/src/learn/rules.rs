//! How a gradient changes a weight, one rule a paper.

/// A rule of learning.
pub(super) trait Rule: Send {
    /// What it holds for each slot; its default is a weight of zero.
    type Slot: Copy + Default + Send;

    /// The weight of a slot.
    fn weight(&self, slot: Self::Slot) -> f32;

    /// One step against a gradient.
    fn step(&self, slot: &mut Self::Slot, gradient: f32);

    /// What a slot holds, for checkpoints.
    fn numbers(slot: Self::Slot) -> [f32; 2];

    /// The slot that holds this.
    fn slot(numbers: [f32; 2]) -> Self::Slot;
}

/// Stochastic gradient descent: `w ← w − α (g + δ w)`. H. Robbins, S. Monro: A Stochastic Approximation Method, Annals of
/// Mathematical Statistics 22 (1951).
pub(super) struct Sgd {
    pub(super) rate: f32,
    pub(super) l2: f32,
}

impl Rule for Sgd {
    type Slot = f32;

    fn weight(&self, weight: f32) -> f32 {
        weight
    }

    fn step(&self, weight: &mut f32, gradient: f32) {
        *weight -= self.rate * (gradient + self.l2 * *weight);
    }

    fn numbers(weight: f32) -> [f32; 2] {
        [weight, 0.0]
    }

    fn slot([weight, _]: [f32; 2]) -> f32 {
        weight
    }
}

/// Adagrad: `G ← G + g²`, `w ← w − α g / √G`, with `g` regularised. J. Duchi, E. Hazan, Y. Singer: Adaptive Subgradient
/// Methods for Online Learning and Stochastic Optimization, JMLR 12 (2011), in its diagonal form.
pub(super) struct Adagrad {
    pub(super) rate: f32,
    pub(super) initial: f32,
    pub(super) l2: f32,
}

impl Rule for Adagrad {
    /// w and G.
    type Slot = [f32; 2];

    fn weight(&self, [weight, _]: [f32; 2]) -> f32 {
        weight
    }

    fn step(&self, [weight, squares]: &mut [f32; 2], gradient: f32) {
        let gradient = gradient + self.l2 * *weight;
        *squares += gradient * gradient;
        let scale = (self.initial + *squares).sqrt();
        // Without a beginning and without a gradient there is no way to go.
        if scale > 0.0 {
            *weight -= self.rate * gradient / scale;
        }
    }

    fn numbers(slot: [f32; 2]) -> [f32; 2] {
        slot
    }

    fn slot(numbers: [f32; 2]) -> [f32; 2] {
        numbers
    }
}

/// FTRL-Proximal: algorithm 1 of H. B. McMahan et al.: Ad Click Prediction: a View from the Trenches, KDD 2013.
pub(super) struct Ftrl {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) l1: f32,
    pub(super) l2: f32,
}

impl Rule for Ftrl {
    /// z and n of the paper.
    type Slot = [f32; 2];

    fn weight(&self, [z, n]: [f32; 2]) -> f32 {
        if z.abs() <= self.l1 {
            return 0.0;
        }
        -(z - self.l1.copysign(z)) / ((self.beta + n.sqrt()) / self.alpha + self.l2)
    }

    fn step(&self, slot: &mut [f32; 2], gradient: f32) {
        let weight = self.weight(*slot);
        let [z, n] = slot;
        let squares = *n + gradient * gradient;
        let sigma = (squares.sqrt() - n.sqrt()) / self.alpha;
        *z += gradient - sigma * weight;
        *n = squares;
    }

    fn numbers(slot: [f32; 2]) -> [f32; 2] {
        slot
    }

    fn slot(numbers: [f32; 2]) -> [f32; 2] {
        numbers
    }
}
