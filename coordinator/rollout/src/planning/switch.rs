//! The dead-man's switch: where a host's program arms it, and what the host then does by itself.

use dv_types::{
    MigrationKind, Operation, Plan,
    plan::{Barrier, Program, Turn},
};

use super::way_back::way_back;

/// Why a plan arms no switch although its manifest asks for it.
pub(super) enum Unarmed {
    /// These migrations would leave the old code on a schema that it can't run on.
    Migrations(Vec<String>),
    /// What is pending is not known.
    UnknownSchema,
}

/// Whether the switch may be armed at all: never where the old code could not live with the new schema.
pub(super) fn may_arm(plan: &Plan) -> Result<(), Unarmed> {
    let migrates = |o: &Operation| matches!(o, Operation::Migrate { .. });
    if !plan.once.iter().any(|once| migrates(&once.operation)) {
        return Ok(());
    }
    let Some(schema) = &plan.schema else { return Err(Unarmed::UnknownSchema) };
    let breaking = schema.pending.iter().filter(|m| m.kind != MigrationKind::Expand);
    let breaking: Vec<_> = breaking.map(ToString::to_string).collect();
    if breaking.is_empty() { Ok(()) } else { Err(Unarmed::Migrations(breaking)) }
}

/// Arms the switch in each host's program, right before what changes the host, and lets it go when the host is
/// healthy. A host that has nothing to go back to stays without one.
pub(super) fn arm(plan: &mut Plan) {
    let Some(within) = plan.manifest.strategy.confirm_within else { return };
    if may_arm(plan).is_err() {
        return;
    }
    let common = plan.programs[0].clone();
    let Some(at) = place(plan, &common) else { return };
    let mut programs: Vec<Program> = Vec::new();
    for i in 0..plan.hosts.len() {
        let program = match way_back(&plan.manifest, &plan.hosts[i]) {
            Ok(revert) if !revert.is_empty() => {
                armed(&common, at, Operation::Arm { within, revert })
            }
            _ => common.clone(),
        };
        let known = programs.iter().position(|p| *p == program);
        plan.hosts[i].program = known.unwrap_or_else(|| {
            programs.push(program);
            programs.len() - 1
        });
    }
    plan.programs = programs;
}

/// Whether an operation is there for the switch only.
pub(super) fn is_of_switch(operation: &Operation) -> bool {
    matches!(operation, Operation::Arm { .. } | Operation::Confirm)
}

/// Before the first operation that changes the host, and after everything that happens once: that takes its time.
fn place(plan: &Plan, program: &Program) -> Option<usize> {
    let steps = |b: &&Barrier| plan.once[b.once as usize].turn == Turn::Steps;
    let last = program.barriers.iter().filter(steps).map(|b| b.before).max().unwrap_or(0) as usize;
    let mut later = (last..program.operations.len()).filter(|&i| program.operations[i].touches());
    later.next()
}

fn armed(common: &Program, at: usize, arm: Operation) -> Program {
    let mut program = common.clone();
    program.operations.insert(at, arm);
    program.operations.push(Operation::Confirm);
    program
}
