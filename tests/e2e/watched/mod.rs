//! `pillion watch`, the real program, beside an agent that applies the deploy branch.

mod action;
mod adoption;
mod argocd;
mod deploy;
mod failing;
mod fleet;
mod hot_upgrade;
mod kept_kruise;
mod killed;

mod listener;
mod many;
mod memory;
mod once;
mod outage;
mod piggyback;
mod ready;
mod relay;
mod rights;
mod rollout;
mod sampler;
mod story;
mod together;
mod watcher;
