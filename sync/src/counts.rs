//! What QUIC counted on a connection, for [`crate::Endpoint::handle_path_stats`].

/// Packets that were sent and those that were lost since the connection began: both arguments of
/// [`handle_path_stats`](crate::Endpoint::handle_path_stats).
///
/// Packets that hold only acknowledgements are never known to be lost, so they aren't counted as
/// sent either: on a path with traffic in both directions they would halve the loss.
pub fn packet_counts(connection: &quinn::Connection) -> (u64, u64) {
    let stats = connection.stats();
    let frames = stats.frame_tx;
    let eliciting = frames.datagram + frames.stream + frames.ping + frames.crypto;
    (stats.path.sent_packets.min(eliciting), stats.path.lost_packets)
}
