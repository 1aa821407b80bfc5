//! What an instance counts.

use serde_json::{Map, Value, json};
use wire::ByStatus;

fn json_of(counts: &ByStatus) -> Value {
    Value::Object(counts.sorted().map(|(status, count)| (status, json!(count))).collect())
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counters of one instance, or the sum over all.
        #[derive(Clone, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Responses to messages, by status.
            pub responses: ByStatus,
            /// Responses of the ESMEs to deliver_sm, by status.
            pub deliver_responses: ByStatus,
        }

        impl Counters {
            /// A counter by name; `responses.NAME` and `deliver_responses.NAME` by status.
            pub fn get(&self, name: &str) -> Option<u64> {
                if let Some(status) = name.strip_prefix("responses.") {
                    return Some(self.responses.of(status));
                }
                if let Some(status) = name.strip_prefix("deliver_responses.") {
                    return Some(self.deliver_responses.of(status));
                }
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }

            /// The names of the plain counters.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Adds another instance's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                self.responses.add(&other.responses);
                self.deliver_responses.add(&other.deliver_responses);
            }

            /// All of them as one JSON object.
            pub fn json(&self) -> Map<String, Value> {
                let mut object = Map::new();
                $(object.insert(stringify!($name).into(), json!(self.$name));)*
                object.insert("responses".into(), json_of(&self.responses));
                object.insert("deliver_responses".into(), json_of(&self.deliver_responses));
                object
            }
        }
    };
}

counters! {
    /// Connections that are open.
    connections,
    /// Sessions that are bound.
    binds,
    /// Of these, as transmitter.
    binds_transmitter,
    /// Of these, as receiver.
    binds_receiver,
    /// Of these, as transceiver.
    binds_transceiver,
    /// Connections that were ever accepted.
    connections_total,
    /// Binds that were ever accepted.
    binds_total,
    /// Binds that were refused.
    binds_refused,
    /// Messages that came: submit_sm, data_sm, submit_multi.
    received,
    /// Messages that were accepted with ESME_ROK.
    accepted,
    /// Responses to messages that were sent.
    answered,
    /// Requests that wait for their response.
    outstanding,
    /// Requests whose session ended before their response was sent.
    abandoned,
    /// Requests that were throttled by rate or window.
    throttled,
    /// Requests for query_sm.
    queries,
    /// Requests for cancel_sm.
    cancels,
    /// Requests for replace_sm.
    replaces,
    /// Messages that are remembered.
    messages,
    /// Receipts that were asked for.
    receipts_due,
    /// Receipts that were sent.
    receipts_sent,
    /// Receipts that were answered with ESME_ROK.
    receipts_acknowledged,
    /// Receipts that wait for a receiver or its window.
    receipts_waiting,
    /// Receipts that were dropped because too many waited.
    receipts_dropped,
    /// Mobile originated messages that were sent.
    mo_sent,
    /// Mobile originated messages that were answered with ESME_ROK.
    mo_acknowledged,
    /// Mobile originated messages that were ordered over the control port and wait.
    mo_waiting,
    /// Deliveries whose session ended before their response came.
    deliveries_lost,
    /// Deliveries that wait for their response.
    deliveries_outstanding,
    /// enquire_link that came.
    enquire_links,
    /// unbind that came.
    unbinds,
    /// generic_nack that came.
    generic_nacks,
    /// Requests that are unknown.
    unknown_requests,
    /// Requests in the wrong state of the session.
    wrong_state,
    /// Requests whose body could not be read, and frames of impossible length.
    malformed,
    /// Responses that nobody waits for.
    unexpected_responses,
}
