//! `interface_version`: which SMPP a peer speaks.

use core::fmt;

/// The `interface_version` of a bind or the `sc_interface_version` of its response, as sent.
/// Every value below 0x34 counts as v3.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceVersion(pub u8);

impl InterfaceVersion {
    /// SMPP v3.3; also what a peer speaks that does not say.
    pub const V3_3: Self = Self(0x33);
    /// SMPP v3.4
    pub const V3_4: Self = Self(0x34);
    /// SMPP v5.0
    pub const V5_0: Self = Self(0x50);

    /// The most octets, without the NUL, of a message_id sent to this peer.
    #[inline]
    #[must_use]
    pub const fn message_id_max(self) -> usize {
        if self.takes_tlvs() { 64 } else { 8 }
    }

    /// Whether TLVs may be sent to this peer.
    #[inline]
    #[must_use]
    pub const fn takes_tlvs(self) -> bool {
        self.0 >= Self::V3_4.0
    }
}

impl Default for InterfaceVersion {
    fn default() -> Self {
        Self::V3_4
    }
}

impl fmt::Display for InterfaceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 4, self.0 & 0x0F)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_3_4_is_3_3() {
        for version in [InterfaceVersion(0), InterfaceVersion(0x10), InterfaceVersion::V3_3] {
            assert!(!version.takes_tlvs());
            assert_eq!(version.message_id_max(), 8);
            assert!(version < InterfaceVersion::V3_4);
        }
        for version in [InterfaceVersion::V3_4, InterfaceVersion::V5_0] {
            assert!(version.takes_tlvs());
            assert_eq!(version.message_id_max(), 64);
        }
    }
}
