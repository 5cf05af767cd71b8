//! Streams of news.

use futures_util::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::position::News;

/// Number of news that are kept for a slow receiver.
pub(super) const CAPACITY: usize = 4_096;

/// The news of a channel. [`News::LookAtAll`] replaces news that a slow receiver has missed.
pub(super) fn stream(receiver: broadcast::Receiver<News>) -> impl Stream<Item = News> + Send {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(news) => Some((news, receiver)),
            Err(RecvError::Lagged(_)) => Some((News::LookAtAll, receiver)),
            Err(RecvError::Closed) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn slow_receiver_gets_look_at_all() {
        let (sender, receiver) = broadcast::channel(2);
        for revision in 0..5 {
            sender.send(News::Control(revision)).expect("a receiver");
        }
        drop(sender);
        let heard: Vec<News> = stream(receiver).collect().await;
        assert_eq!(heard, [News::LookAtAll, News::Control(3), News::Control(4)]);
    }
}
