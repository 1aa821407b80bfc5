//! Pinning.

use crate::Error;

/// Pins the calling thread to a CPU.
pub fn pin(cpu: usize) -> Result<(), Error> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    if !ids.iter().any(|core| core.id == cpu) {
        let allowed: Vec<String> = ids.iter().map(|core| core.id.to_string()).collect();
        let allowed = allowed.join(", ");
        return Err(Error::new(format!("--cpu {cpu}: no such CPU here; there are {allowed}")));
    }
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(Error::new(format!("--cpu {cpu}: the system refused to pin this thread")))
    }
}
