//! Processes items in parallel, and returns the results in order with few of them in memory.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Items that one thread takes at a time: waking another thread costs as much as a small item.
const CHUNK_SIZE: usize = 64;

/// Chunks that may be worked on beyond the oldest unfinished one, for each thread.
const MAX_CHUNKS_AHEAD: usize = 8;

/// Calls `work` on every item, on all cores, and hands the results to `take` one by one in the order of the
/// items. At most a bounded number of results exist at a time, so memory does not grow with the items.
pub(crate) fn map_in_order<'a, T: Sync, R: Send>(
    items: &'a [T],
    work: impl Fn(&'a T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let chunks: Vec<&[T]> = items.chunks(CHUNK_SIZE).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(chunks.len());
    if threads < 2 {
        items.iter().for_each(|item| take(work(item)));
        return;
    }
    let window = threads * MAX_CHUNKS_AHEAD;
    let next = AtomicUsize::new(0);
    let taken = (Mutex::new(0_usize), Condvar::new());
    let (sender, receiver) = sync_channel(window);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, chunks, next, taken, work) = (sender.clone(), &chunks, &next, &taken, &work);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(chunk) = chunks.get(i) else { break };
                    wait_for_window(taken, i, window);
                    let results: Vec<R> = chunk.iter().map(work).collect();
                    if sender.send((i, results)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting: Vec<Option<Vec<R>>> = (0..window).map(|_| None).collect();
        let mut due = 0;
        for (i, results) in receiver {
            waiting[i % window] = Some(results);
            while let Some(results) = waiting[due % window].take() {
                results.into_iter().for_each(&mut take);
                due += 1;
            }
            *taken.0.lock().unwrap_or_else(PoisonError::into_inner) = due;
            taken.1.notify_all();
        }
    });
}

/// Blocks a thread with a chunk so far ahead that there is no place for its results.
fn wait_for_window(taken: &(Mutex<usize>, Condvar), i: usize, window: usize) {
    let due = taken.0.lock().unwrap_or_else(PoisonError::into_inner);
    let near = taken.1.wait_while(due, |due| i >= *due + window);
    drop(near.unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..5000).collect();
        let mut seen = Vec::new();
        map_in_order(
            &items,
            |i| if i % 7 == 0 { (0..i * 10).sum::<usize>() % 2 + i * 2 } else { i * 2 },
            |r| seen.push(r / 2),
        );
        assert_eq!(seen, items);
    }
}
