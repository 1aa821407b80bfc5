//! Which CPUs the packet cores run on.

use std::fmt::Write as _;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Packet cores of one process, as the configuration has it.
const CORES_MAX: usize = 128;

/// CPUs as the command line lists them: `0,2-5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

/// Where each packet core runs, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// By core; `None` where the system chooses.
    pub(crate) cpus: Vec<Option<usize>>,
    /// CPUs of ours that no packet core is pinned to.
    pub(crate) left: Vec<usize>,
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| match text.trim().parse::<usize>() {
                Ok(cpu) if cpu < CpuSet::MAX_CPU => Ok(cpu),
                _ => Err(format!(
                    "{text:?} is no CPU; a list reads like 0,2-5, below {}",
                    CpuSet::MAX_CPU
                )),
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("{part:?} runs backwards; a list reads like 0,2-5"));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

/// The CPUs that this process may use.
pub(crate) fn ours() -> Vec<usize> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    ids.into_iter().map(|cpu| cpu.id).collect()
}

/// Places `cores` packet cores on the CPUs of `list`, or on any of `ours` when it is empty. Errors
/// are for people.
pub(crate) fn place(
    cores: Option<usize>,
    list: &[usize],
    ours: &[usize],
) -> Result<Placement, String> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the CPU list names CPU {} twice", twice[0]));
    }
    if let Some(foreign) = list.iter().find(|cpu| !ours.contains(cpu)) {
        let ours = text(ours);
        return Err(format!(
            "the CPU list names CPU {foreign}, which this process may not use; it may use {ours}"
        ));
    }
    let from = if list.is_empty() { ours } else { list };
    let cores = cores.unwrap_or(from.len()).max(usize::from(cores.is_none()));
    if cores == 0 || cores > CORES_MAX {
        return Err(format!("{cores} packet cores; allowed are 1 to {CORES_MAX}"));
    }
    if !list.is_empty() && cores > list.len() {
        let named = list.len();
        return Err(format!("{cores} packet cores, but the CPU list names only {named} CPUs"));
    }
    if cores > from.len() {
        return Ok(Placement { cpus: vec![None; cores], left: Vec::new() });
    }
    let pinned = &from[..cores];
    let left = ours.iter().copied().filter(|cpu| !pinned.contains(cpu)).collect();
    Ok(Placement { cpus: pinned.iter().copied().map(Some).collect(), left })
}

/// Keeps this thread and those that it starts later off the packet cores. Best effort: everything
/// works without it.
pub(crate) fn keep_to(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    let _ = sched_setaffinity(None, &set);
}

/// CPUs in words: `0,2-5`.
pub(crate) fn text(cpus: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = cpus;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(cpu, wanted)| **cpu == *wanted).count();
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match run {
            1 => write!(text, "{comma}{first}"),
            _ => write!(text, "{comma}{first}-{}", first + run - 1),
        };
        rest = &rest[run..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(cpus: &[usize]) -> Vec<Option<usize>> {
        cpus.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_list_is_read_and_written() {
        assert_eq!("0,2-5".parse(), Ok(CpuList(vec![0, 2, 3, 4, 5])));
        assert_eq!("7".parse(), Ok(CpuList(vec![7])));
        assert_eq!(text(&[0, 2, 3, 4, 5, 9]), "0,2-5,9");
        for bad in ["", "a", "1-", "-1", "5-2", "0,,1", "1-2-3", "99999999999999999999", "0-9999"] {
            assert!(bad.parse::<CpuList>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn without_a_list_there_is_a_core_for_each_cpu_of_ours() {
        let placed = place(None, &[], &[0, 1, 4]).unwrap();
        assert_eq!(placed, Placement { cpus: pinned(&[0, 1, 4]), left: Vec::new() });
        let placed = place(Some(2), &[], &[0, 1, 4]).unwrap();
        assert_eq!(placed, Placement { cpus: pinned(&[0, 1]), left: vec![4] });
    }

    #[test]
    fn with_a_list_cores_follow_its_order() {
        let placed = place(None, &[4, 0], &[0, 1, 4]).unwrap();
        assert_eq!(placed, Placement { cpus: pinned(&[4, 0]), left: vec![1] });
        let placed = place(Some(1), &[4, 0], &[0, 1, 4]).unwrap();
        assert_eq!(placed, Placement { cpus: pinned(&[4]), left: vec![0, 1] });
    }

    #[test]
    fn more_cores_than_cpus_are_not_pinned() {
        let placed = place(Some(3), &[], &[0, 1]).unwrap();
        assert_eq!(placed, Placement { cpus: vec![None; 3], left: Vec::new() });
        assert_eq!(place(None, &[], &[]).unwrap().cpus, [None]);
    }

    #[test]
    fn what_cannot_be_is_said_clearly() {
        let error = place(None, &[0, 9], &[0, 1, 2]).unwrap_err();
        assert!(error.contains("names CPU 9") && error.contains("it may use 0-2"), "{error}");
        assert!(place(None, &[1, 0, 1], &[0, 1]).unwrap_err().contains("CPU 1 twice"));
        assert!(place(Some(3), &[0, 1], &[0, 1]).unwrap_err().contains("only 2 CPUs"));
        assert!(place(Some(0), &[], &[0]).unwrap_err().contains("allowed are 1 to 128"));
        assert!(place(Some(129), &[], &[0]).unwrap_err().contains("allowed are 1 to 128"));
    }
}
