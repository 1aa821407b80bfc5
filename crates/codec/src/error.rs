//! What is wrong with a peer's bytes, where, and what would have been right.

use core::fmt;

use crate::status::CommandStatus;

/// A PDU that cannot be read. Says enough to answer the peer and to tell its operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The field that cannot be read.
    pub field: Field,
    /// Where the field begins, from the start of the PDU.
    pub offset: usize,
    /// What had to stand there.
    pub expected: Expected,
    /// How many octets stand there: up to the end of the PDU, or of what was searched for a NUL.
    pub found: usize,
}

/// What a field had to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// So many octets.
    Octets(usize),
    /// A C-octet string of so many octets at the most, its NUL included.
    NulWithin(usize),
    /// A C-octet string that ends inside the PDU.
    Nul,
    /// One of the specification's values; `found` is the value.
    KnownValue,
}

macro_rules! fields {
    ($($variant:ident = $name:literal;)*) => {
        /// A field of a PDU, by the specification's name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Field {
            /// The specification's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

fields! {
    CommandLength = "command_length";
    SystemId = "system_id";
    Password = "password";
    SystemType = "system_type";
    InterfaceVersion = "interface_version";
    AddrTon = "addr_ton";
    AddrNpi = "addr_npi";
    AddressRange = "address_range";
    ServiceType = "service_type";
    SourceAddrTon = "source_addr_ton";
    SourceAddrNpi = "source_addr_npi";
    SourceAddr = "source_addr";
    DestAddrTon = "dest_addr_ton";
    DestAddrNpi = "dest_addr_npi";
    DestinationAddr = "destination_addr";
    EsmeAddrTon = "esme_addr_ton";
    EsmeAddrNpi = "esme_addr_npi";
    EsmeAddr = "esme_addr";
    NumberOfDests = "number_of_dests";
    DestFlag = "dest_flag";
    DlName = "dl_name";
    EsmClass = "esm_class";
    ProtocolId = "protocol_id";
    PriorityFlag = "priority_flag";
    ScheduleDeliveryTime = "schedule_delivery_time";
    ValidityPeriod = "validity_period";
    RegisteredDelivery = "registered_delivery";
    ReplaceIfPresent = "replace_if_present_flag";
    DataCoding = "data_coding";
    SmDefaultMsgId = "sm_default_msg_id";
    SmLength = "sm_length";
    ShortMessage = "short_message";
    MessageId = "message_id";
    FinalDate = "final_date";
    MessageState = "message_state";
    ErrorCode = "error_code";
    Tlv = "tlv";
}

impl Malformed {
    /// The status to answer with: the field's own error where the specification has one, else
    /// `ESME_RINVCMDLEN`, for then the body is too short.
    #[must_use]
    pub const fn status(&self) -> CommandStatus {
        match self.field {
            Field::SystemId => CommandStatus::ESME_RINVSYSID,
            Field::Password => CommandStatus::ESME_RINVPASWD,
            Field::SystemType => CommandStatus::ESME_RINVSYSTYP,
            Field::ServiceType => CommandStatus::ESME_RINVSERTYP,
            Field::SourceAddr => CommandStatus::ESME_RINVSRCADR,
            Field::DestinationAddr => CommandStatus::ESME_RINVDSTADR,
            Field::DestFlag => CommandStatus::ESME_RINVDESTFLAG,
            Field::DlName => CommandStatus::ESME_RINVDLNAME,
            Field::ScheduleDeliveryTime => CommandStatus::ESME_RINVSCHED,
            Field::ValidityPeriod => CommandStatus::ESME_RINVEXPIRY,
            Field::ShortMessage => CommandStatus::ESME_RINVMSGLEN,
            Field::MessageId => CommandStatus::ESME_RINVMSGID,
            Field::Tlv => CommandStatus::ESME_RINVTLVSTREAM,
            _ => CommandStatus::ESME_RINVCMDLEN,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: expected ", self.field.name(), self.offset)?;
        match self.expected {
            Expected::Octets(1) => write!(f, "1 octet, found {}", self.found),
            Expected::Octets(count) => write!(f, "{count} octets, found {}", self.found),
            Expected::NulWithin(max) => write!(f, "a NUL within {max} octets, found none"),
            Expected::Nul => {
                write!(f, "a NUL before the end of the PDU, found none in {} octets", self.found)
            }
            Expected::KnownValue => write!(f, "a value of the specification, found {}", self.found),
        }
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn display_says_where_and_what() {
        let malformed = Malformed {
            field: Field::SourceAddr,
            offset: 20,
            expected: Expected::NulWithin(21),
            found: 21,
        };
        assert_eq!(
            malformed.to_string(),
            "source_addr at offset 20: expected a NUL within 21 octets, found none"
        );
        assert_eq!(malformed.status(), CommandStatus::ESME_RINVSRCADR);
    }

    #[test]
    fn a_body_that_is_too_short_is_a_wrong_command_length() {
        let malformed = Malformed {
            field: Field::EsmClass,
            offset: 30,
            expected: Expected::Octets(3),
            found: 1,
        };
        assert_eq!(malformed.to_string(), "esm_class at offset 30: expected 3 octets, found 1");
        assert_eq!(malformed.status(), CommandStatus::ESME_RINVCMDLEN);
    }
}
