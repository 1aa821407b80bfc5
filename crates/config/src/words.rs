//! The words of the file that stand for values of the router.

use codec::InterfaceVersion;
use router::settings::{BindPlan, BindsWhenDown, Method, OnLoss, PoolMethod, PoolScope, TagStyle};

use crate::engine::LogLevel;

/// Declares words and their values, in one place and in the same order.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $type:ty { $($word:literal => $value:expr,)* })*) => {
        $(
            $(#[$doc])*
            pub(crate) mod $name {
                use super::*;
                /// As the file spells them.
                pub(crate) const WORDS: &[&str] = &[$($word),*];
                /// What they stand for.
                pub(crate) const VALUES: &[$type] = &[$($value),*];
            }
        )*
    };
}

words! {
    pool_scope: PoolScope { "range" => PoolScope::Range, "account" => PoolScope::Account, }
    pool_method: PoolMethod {
        "round-robin" => PoolMethod::RoundRobin,
        "weighted" => PoolMethod::Weighted,
        "least-outstanding" => PoolMethod::LeastOutstanding,
    }
    method: Method {
        "round-robin" => Method::RoundRobin,
        "weighted" => Method::Weighted,
        "least-outstanding" => Method::LeastOutstanding,
    }
    tag_style: TagStyle { "signature" => TagStyle::Signature, "digits" => TagStyle::Digits, }
    on_loss: OnLoss { "error" => OnLoss::Error, "resubmit" => OnLoss::Resubmit, }
    binds: BindsWhenDown {
        "accept" => BindsWhenDown::Accept,
        "refuse" => BindsWhenDown::Refuse,
        "unbind" => BindsWhenDown::Unbind,
    }
    bind: BindPlan {
        "transceiver" => BindPlan::Transceiver,
        "tx+rx" => BindPlan::TxRx,
        "tx" => BindPlan::Tx,
        "rx" => BindPlan::Rx,
    }
    version: InterfaceVersion {
        "3.3" => InterfaceVersion::V3_3,
        "3.4" => InterfaceVersion::V3_4,
        "5.0" => InterfaceVersion::V5_0,
    }
    log_level: LogLevel {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
    }
    bind_type: BindType {
        "transmitter" => BindType::Transmitter,
        "receiver" => BindType::Receiver,
        "transceiver" => BindType::Transceiver,
    }
}

/// A kind of bind that an account may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindType {
    Transmitter,
    Receiver,
    Transceiver,
}
