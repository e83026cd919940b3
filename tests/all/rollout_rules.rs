//! Properties of a rollout step.
