//! Tests of the watcher: observation, health, notifications, and simulated schedules.

#[cfg(target_os = "linux")]
mod chaos;
mod check;
mod concurrent_changes;
mod deploy;
mod health;
mod kept_kruise;
mod notification_delivery;
mod notify;
mod observe;
mod observe_nonsense;
mod providers;
mod serve;
#[cfg(target_os = "linux")]
mod shutdown;
pub(crate) mod simulation;
#[cfg(target_os = "linux")]
mod state_notifications;
mod user_mistakes;
