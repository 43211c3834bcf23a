//! What is run around the tests.

use super::layer::Layer;
use super::origin::Setting;
use super::{OrDefault, Row, first, row};

/// Commands that are run before and after the tests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Around {
    /// Before any test.
    pub setup: Setting<Vec<String>>,
    /// After all tests.
    pub teardown: Setting<Vec<String>>,
    /// For each worker, before its tests.
    pub worker_setup: Setting<Vec<String>>,
    /// For each worker, after all tests.
    pub worker_teardown: Setting<Vec<String>>,
    /// Seconds for each of them.
    pub timeout: Setting<f64>,
}

impl Around {
    pub(super) fn read(layers: &[Layer]) -> Around {
        let list = |of: fn(&crate::cli::Around) -> &Vec<String>| {
            first(layers, |it| Some(of(&it.around).clone()).filter(|it| !it.is_empty()))
                .or_default(Vec::new())
        };
        Around {
            setup: list(|it| &it.setup),
            teardown: list(|it| &it.teardown),
            worker_setup: list(|it| &it.worker_setup),
            worker_teardown: list(|it| &it.worker_teardown),
            timeout: first(layers, |it| it.around.setup_timeout).or_default(300.0),
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let lines = |setting: &Setting<Vec<String>>| {
            setting.clone().map(|all| if all.is_empty() { "none".into() } else { all.join("; ") })
        };
        vec![
            row::<String>("setup", &lines(&self.setup)),
            row::<String>("teardown", &lines(&self.teardown)),
            row::<String>("worker-setup", &lines(&self.worker_setup)),
            row::<String>("worker-teardown", &lines(&self.worker_teardown)),
            row("setup-timeout", &self.timeout),
        ]
    }
}
