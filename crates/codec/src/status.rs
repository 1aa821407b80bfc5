//! `command_status`: what became of a request.

use core::fmt;

/// A PDU's `command_status`, known or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($constant:ident = $value:literal, $meaning:literal;)*) => {
        impl CommandStatus {
            $(#[doc = $meaning] pub const $constant: Self = Self($value);)*

            /// Every `command_status` of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// The specification's name, or `"unknown"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => stringify!($constant),)*
                    _ => "unknown",
                }
            }

            /// The status of that name, as configuration spells it: `"ESME_RSYSERR"`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($constant) => Some(Self::$constant),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    ESME_ROK = 0x0000, "No error.";
    ESME_RINVMSGLEN = 0x0001, "Message length is invalid.";
    ESME_RINVCMDLEN = 0x0002, "Command length is invalid.";
    ESME_RINVCMDID = 0x0003, "Invalid command id.";
    ESME_RINVBNDSTS = 0x0004, "Incorrect bind status for the command.";
    ESME_RALYBND = 0x0005, "Already in bound state.";
    ESME_RINVPRTFLG = 0x0006, "Invalid priority flag.";
    ESME_RINVREGDLVFLG = 0x0007, "Invalid registered delivery flag.";
    ESME_RSYSERR = 0x0008, "System error.";
    ESME_RINVSRCADR = 0x000A, "Invalid source address.";
    ESME_RINVDSTADR = 0x000B, "Invalid destination address.";
    ESME_RINVMSGID = 0x000C, "Message id is invalid.";
    ESME_RBINDFAIL = 0x000D, "Bind failed.";
    ESME_RINVPASWD = 0x000E, "Invalid password.";
    ESME_RINVSYSID = 0x000F, "Invalid system id.";
    ESME_RCANCELFAIL = 0x0011, "cancel_sm failed.";
    ESME_RREPLACEFAIL = 0x0013, "replace_sm failed.";
    ESME_RMSGQFUL = 0x0014, "Message queue full.";
    ESME_RINVSERTYP = 0x0015, "Invalid service type.";
    ESME_RINVNUMDESTS = 0x0033, "Invalid number of destinations.";
    ESME_RINVDLNAME = 0x0034, "Invalid distribution list name.";
    ESME_RINVDESTFLAG = 0x0040, "Invalid destination flag.";
    ESME_RINVSUBREP = 0x0042, "Invalid submit with replace request.";
    ESME_RINVESMCLASS = 0x0043, "Invalid esm_class.";
    ESME_RCNTSUBDL = 0x0044, "Cannot submit to the distribution list.";
    ESME_RSUBMITFAIL = 0x0045, "submit_sm, data_sm or submit_multi failed.";
    ESME_RINVSRCTON = 0x0048, "Invalid source address TON.";
    ESME_RINVSRCNPI = 0x0049, "Invalid source address NPI.";
    ESME_RINVDSTTON = 0x0050, "Invalid destination address TON.";
    ESME_RINVDSTNPI = 0x0051, "Invalid destination address NPI.";
    ESME_RINVSYSTYP = 0x0053, "Invalid system type.";
    ESME_RINVREPFLAG = 0x0054, "Invalid replace_if_present flag.";
    ESME_RINVNUMMSGS = 0x0055, "Invalid number of messages.";
    ESME_RTHROTTLED = 0x0058, "Throttled: the message limits are exceeded.";
    ESME_RINVSCHED = 0x0061, "Invalid scheduled delivery time.";
    ESME_RINVEXPIRY = 0x0062, "Invalid validity period.";
    ESME_RINVDFTMSGID = 0x0063, "Predefined message is invalid or not found.";
    ESME_RX_T_APPN = 0x0064, "Temporary application error of the ESME: retry.";
    ESME_RX_P_APPN = 0x0065, "Permanent application error of the ESME.";
    ESME_RX_R_APPN = 0x0066, "The ESME rejects this message.";
    ESME_RQUERYFAIL = 0x0067, "query_sm failed.";
    ESME_RINVTLVSTREAM = 0x00C0, "Error in the optional part of the PDU body.";
    ESME_RTLVNOTALLWD = 0x00C1, "TLV not allowed.";
    ESME_RINVTLVLEN = 0x00C2, "Invalid parameter length.";
    ESME_RMISSINGTLV = 0x00C3, "Expected TLV missing.";
    ESME_RINVTLVVAL = 0x00C4, "Invalid TLV value.";
    ESME_RDELIVERYFAILURE = 0x00FE, "Transaction delivery failure.";
    ESME_RUNKNOWNERR = 0x00FF, "Unknown error.";
    ESME_RSERTYPUNAUTH = 0x0100, "Not authorised to use the service type.";
    ESME_RPROHIBITED = 0x0101, "The operation is prohibited.";
    ESME_RSERTYPUNAVAIL = 0x0102, "The service type is unavailable.";
    ESME_RSERTYPDENIED = 0x0103, "The service type is denied.";
    ESME_RINVDCS = 0x0104, "Invalid data coding scheme.";
    ESME_RINVSRCADDRSUBUNIT = 0x0105, "Invalid source address subunit.";
    ESME_RINVDSTADDRSUBUNIT = 0x0106, "Invalid destination address subunit.";
    ESME_RINVBCASTFREQINT = 0x0107, "Invalid broadcast frequency interval.";
    ESME_RINVBCASTALIAS_NAME = 0x0108, "Invalid broadcast alias name.";
    ESME_RINVBCASTAREAFMT = 0x0109, "Invalid broadcast area format.";
    ESME_RINVNUMBCAST_AREAS = 0x010A, "Invalid number of broadcast areas.";
    ESME_RINVBCASTCNTTYPE = 0x010B, "Invalid broadcast content type.";
    ESME_RINVBCASTMSGCLASS = 0x010C, "Invalid broadcast message class.";
    ESME_RBCASTFAIL = 0x010D, "broadcast_sm failed.";
    ESME_RBCASTQUERYFAIL = 0x010E, "query_broadcast_sm failed.";
    ESME_RBCASTCANCELFAIL = 0x010F, "cancel_broadcast_sm failed.";
    ESME_RINVBCAST_REP = 0x0110, "Invalid number of repeated broadcasts.";
    ESME_RINVBCASTSRVGRP = 0x0111, "Invalid broadcast service group.";
    ESME_RINVBCASTCHANIND = 0x0112, "Invalid broadcast channel indicator.";
}

impl CommandStatus {
    /// Whether this is `ESME_ROK`.
    #[inline]
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Whether the status is in the range that message centre vendors define for themselves.
    #[inline]
    #[must_use]
    pub const fn is_vendor(self) -> bool {
        matches!(self.0, 0x400..=0x4FF)
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "unknown" => write!(f, "0x{:08X}", self.0),
            name => f.pad(name),
        }
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandStatus({self})")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn names_lead_back_to_their_status() {
        for &status in CommandStatus::ALL {
            assert_eq!(CommandStatus::from_name(status.name()), Some(status));
        }
        assert_eq!(CommandStatus::from_name("ESME_RNOSUCH"), None);
    }

    #[test]
    fn vendor_range_and_unknown_statuses() {
        assert!(CommandStatus::ESME_ROK.is_ok());
        assert!(!CommandStatus(0x3FF).is_vendor());
        assert!(CommandStatus(0x400).is_vendor());
        assert!(CommandStatus(0x4FF).is_vendor());
        assert!(!CommandStatus(0x500).is_vendor());
        assert_eq!(format!("{}", CommandStatus(0x55F)), "0x0000055F");
        assert_eq!(format!("{}", CommandStatus::ESME_RTHROTTLED), "ESME_RTHROTTLED");
    }
}
