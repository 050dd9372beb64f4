//! The models that rank recommendations, learned once more beside the replay: so each is asked as it was, before it has
//! learned from what came later.

use super::gather::Gathered;
use crate::job::JobPlan;
use anyhow::Result;
use proxima_graph::KindId;
use proxima_model::{Lessons, LiveModel, ModelSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The models of a job's recommendations, and why some cannot be asked.
#[derive(Default)]
pub struct Models {
    /// Those that learn.
    pub live: BTreeMap<String, Arc<LiveModel>>,
    /// Why others do not.
    pub refused: BTreeMap<String, String>,
    lessons: Vec<Lessons>,
}

impl Models {
    /// The models that rank what is given of these items to these subjects.
    #[must_use]
    pub fn of(plan: &JobPlan, ends: (KindId, KindId)) -> Self {
        let mut models = Self::default();
        let fitting = plan.recommendations.plain.values().filter(|of| (of.subject, of.item) == ends);
        for spec in fitting.filter_map(|of| plan.models.get(of.spec.model.as_ref()?)) {
            match refusal(spec) {
                Some(reason) => _ = models.refused.insert(spec.name.clone(), reason),
                None => _ = models.live.insert(spec.name.clone(), Arc::new(LiveModel::new(spec.clone()))),
            }
        }
        models
    }

    /// Takes the rows that they learn from.
    ///
    /// # Errors
    /// When a model does not fit its rows.
    pub fn teach(&mut self, gathered: &Gathered) -> Result<()> {
        for of in &gathered.models {
            let lessons = Lessons::new(&self.live[&of.name], &of.schema, &of.rows);
            self.lessons.push(lessons.map_err(|errors| anyhow::anyhow!("model {}: {}", of.name, errors[0]))?);
        }
        Ok(())
    }

    /// They learn what was known before this time.
    pub fn learn_before(&mut self, time_us: i64) {
        self.lessons.iter_mut().for_each(|lessons| lessons.learn_before(time_us));
    }
}

/// Why a model cannot be asked as it was.
fn refusal(spec: &ModelSpec) -> Option<String> {
    let known = "it has no time, so that nobody knows when it had learned what";
    spec.time.is_none().then(|| known.to_owned())
}
