//! The schema's versions, part of the program.

use sqlx::AnyPool;
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};
use std::pin::Pin;

/// In order; what was released is never changed.
pub(super) const MIGRATIONS: [(&str, &str); 2] = [
    ("users and keys", include_str!("../../migrations/0001_users.sql")),
    ("registrations", include_str!("../../migrations/0002_registrations.sql")),
];

#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(
        self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send + 'static>> {
        let migrations = (1..).zip(MIGRATIONS).map(|(version, (about, sql))| {
            let kind = MigrationType::Simple;
            Migration::new(version, about.into(), kind, sql.into(), false)
        });
        Box::pin(std::future::ready(Ok(migrations.collect())))
    }
}

/// Brings the tables up to date. The error is for people.
pub(super) async fn run(pool: &AnyPool) -> Result<(), String> {
    let migrator = Migrator::new(Embedded).await.map_err(|error| error.to_string())?;
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => format!(
            "a newer tern-relay made it (version {version} of its tables): upgrade this tern-relay"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "version {version} of its tables is not this program's: it is not tern-relay's database"
        ),
        other => other.to_string(),
    })
}
