//! Counts by command_status.

use codec::CommandStatus;

/// Counts by command_status. A handful of statuses ever occur, so a list beats a map.
#[derive(Clone, Default)]
pub struct ByStatus(Vec<(CommandStatus, u64)>);

impl ByStatus {
    /// Statuses above this many are counted under the last one.
    const MAX: usize = 256;

    /// Counts one.
    #[inline]
    pub fn count(&mut self, status: CommandStatus) {
        self.add_count(status, 1);
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (status, count) in &other.0 {
            self.add_count(*status, *count);
        }
    }

    /// The count of a status by name.
    pub fn of(&self, name: &str) -> u64 {
        let named = |entry: &&(CommandStatus, u64)| status_name(entry.0) == name;
        self.0.iter().filter(named).map(|entry| entry.1).sum()
    }

    /// All of them, by name, in the order of their numbers.
    pub fn sorted(&self) -> impl Iterator<Item = (String, u64)> + use<> {
        let mut entries = self.0.clone();
        entries.sort_by_key(|entry| entry.0.0);
        entries.into_iter().map(|(status, count)| (status_name(status), count))
    }

    fn add_count(&mut self, status: CommandStatus, more: u64) {
        let found = self.0.iter().position(|entry| entry.0 == status);
        let index = found.unwrap_or_else(|| {
            if self.0.len() < Self::MAX {
                self.0.push((status, 0));
            }
            self.0.len() - 1
        });
        self.0[index].1 += more;
    }
}

/// The name of a status, or its number where it has none.
pub fn status_name(status: CommandStatus) -> String {
    match CommandStatus::from_name(status.name()) {
        Some(_) => status.name().to_owned(),
        None => format!("{:#010x}", status.0),
    }
}
