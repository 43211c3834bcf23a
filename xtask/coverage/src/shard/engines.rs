//! `--shard`: which shard this is, as it was typed, or as the engine that has started the job
//! says. Pure.
//!
//! An engine is asked for the index alone. Its variables count more than shards: every leg of a
//! matrix, a job that is not parallel at all, the one element that is run again. So the total is
//! always that of the command line, and what the engine says must agree with it.

use crate::bounds;
use crate::env::Env;
use crate::split::Shard;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `3/12`.
    This(Shard),
    /// `auto/12`: the engine knows which.
    Auto(u32),
}

/// Reads `3/12` or `auto/12`.
pub(crate) fn parse(word: &str) -> Result<Wanted, String> {
    let Some((index, total)) = word.split_once('/') else {
        return Err("must be `i/n` or `auto/n`, as in `3/12`".to_owned());
    };
    if index.is_empty() || total.is_empty() {
        // What is left of a variable that the engine does not have.
        return Err("lacks a number: is a variable of the engine empty?".to_owned());
    }
    let total = bounds::splits(total).map_err(|why| format!("of the total, {why}"))?;
    if index == "auto" {
        return Ok(Wanted::Auto(total));
    }
    let index = bounds::splits(index).map_err(|why| match index {
        "0" => "shards are counted from 1".to_owned(),
        _ => format!("of the shard, {why}"),
    })?;
    match index <= total {
        true => Ok(Wanted::This(Shard { index, total })),
        false => Err(format!("there is no shard {index} of {total}")),
    }
}

/// One way of running jobs side by side.
struct Engine {
    name: &'static str,
    index: &'static str,
    /// None where it does not tell, or where what it tells is no total.
    total: Option<&'static str>,
    /// What the first job has.
    first: u32,
    /// How to ask for so many jobs.
    ask: &'static str,
}

const ENGINES: [Engine; 12] = [
    engine("GitLab CI", "CI_NODE_INDEX", "CI_NODE_TOTAL", 1, "`parallel: N`"),
    engine(
        "Buildkite",
        "BUILDKITE_PARALLEL_JOB",
        "BUILDKITE_PARALLEL_JOB_COUNT",
        0,
        "`parallelism: N`",
    ),
    engine("CircleCI", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0, "`parallelism: N`"),
    engine(
        "Azure Pipelines",
        "SYSTEM_JOBPOSITIONINPHASE",
        "SYSTEM_TOTALJOBSINPHASE",
        1,
        "`strategy: {parallel: N}`",
    ),
    // How many elements an array has is not told: to run one again is an array of one.
    Engine { total: None, ..engine("Slurm", "SLURM_ARRAY_TASK_ID", "", 0, "`--array=0-M`") },
    Engine {
        total: None,
        ..engine("Kubernetes", "JOB_COMPLETION_INDEX", "", 0, "`completions: N`")
    },
    engine(
        "AWS Batch",
        "AWS_BATCH_JOB_ARRAY_INDEX",
        "AWS_BATCH_JOB_ARRAY_SIZE",
        0,
        "an array of N",
    ),
    engine("Google Batch", "BATCH_TASK_INDEX", "BATCH_TASK_COUNT", 0, "`taskCount: N`"),
    engine("Cloud Run", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", 0, "`--tasks N`"),
    engine("Bazel", "TEST_SHARD_INDEX", "TEST_TOTAL_SHARDS", 0, "`shard_count = N`"),
    engine(
        "Bitbucket",
        "BITBUCKET_PARALLEL_STEP",
        "BITBUCKET_PARALLEL_STEP_COUNT",
        0,
        "parallel steps",
    ),
    engine("Semaphore", "SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", 1, "`parallelism: N`"),
];

const fn engine(
    name: &'static str,
    index: &'static str,
    total: &'static str,
    first: u32,
    ask: &'static str,
) -> Engine {
    Engine { name, index, total: Some(total), first, ask }
}

/// The shard that was meant. An error says what the engine has against it.
pub(crate) fn shard(wanted: Wanted, env: &Env) -> Result<Shard, String> {
    match wanted {
        Wanted::This(shard) => Ok(shard),
        Wanted::Auto(total) => found(total, env),
    }
}

fn found(total: u32, env: &Env) -> Result<Shard, String> {
    let mut found: Vec<(&Engine, u32)> = Vec::new();
    for engine in &ENGINES {
        if let Some(index) = engine.index(total, env)? {
            found.push((engine, index));
        }
    }
    match found.as_slice() {
        [(_, index)] => Ok(Shard { index: *index, total }),
        [] if total == 1 => Ok(Shard { index: 1, total }),
        [] => Err(nowhere(total, env)),
        [(one, _), (other, _), ..] => Err(format!(
            "both {} (`{}`) and {} (`{}`) count jobs here; say which shard it is: `--shard i/{total}`",
            one.name, one.index, other.name, other.index
        )),
    }
}

impl Engine {
    /// The index from 1 that it gives; none where it runs no jobs side by side.
    fn index(&self, total: u32, env: &Env) -> Result<Option<u32>, String> {
        let number = |name: &str| match env.get(name).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<u32>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("`{name}` of {} is `{text}`, no number", self.name)),
            },
        };
        let told = self.total.map(number).transpose()?.flatten();
        // Some count their one job as one of one.
        if told == Some(1) && (total > 1 || number(self.index)?.is_none()) {
            return Ok(None);
        }
        let Some(index) = number(self.index)? else { return Ok(None) };
        if let Some(told) = told.filter(|told| *told != total) {
            return Err(self.other_total(told, total));
        }
        let last = self.last(env, number)?.unwrap_or(index).max(index);
        let places = self.first..self.first + total;
        match places.contains(&index) && places.contains(&last) {
            true => Ok(Some(index - self.first + 1)),
            false => Err(format!(
                "{} counts to {last}, but of {total} shards the last is {} there: {} with N = \
                 {total}, M = {}",
                self.name,
                places.end - 1,
                self.ask,
                total - 1
            )),
        }
    }

    /// The highest index that it gives to any job, where it tells that.
    fn last(
        &self,
        env: &Env,
        number: impl Fn(&str) -> Result<Option<u32>, String>,
    ) -> Result<Option<u32>, String> {
        let is_slurm = self.index == "SLURM_ARRAY_TASK_ID" && env.contains_key(self.index);
        if is_slurm { number("SLURM_ARRAY_TASK_MAX") } else { Ok(None) }
    }

    fn other_total(&self, told: u32, total: u32) -> String {
        format!(
            "{} runs {told} jobs (`{}`), but there are {total} shards: where a matrix has more legs \
             than shards, say which shard each is: `--shard i/{total}`; else ask for {} with N = \
             {total}",
            self.name,
            self.total.unwrap_or_default(),
            self.ask
        )
    }
}

/// No engine runs jobs side by side here.
fn nowhere(total: u32, env: &Env) -> String {
    if env.contains_key("GITHUB_ACTIONS") {
        return format!(
            "GitHub Actions tells no job which it is: a matrix `shard: [1, …, {total}]`, and \
             `--shard ${{{{ matrix.shard }}}}/{total}`"
        );
    }
    let alone = ENGINES.iter().filter(|engine| {
        let is_one = |name: &str| env.get(name).is_some_and(|text| text == "1");
        engine.total.is_some_and(is_one)
    });
    match alone.map(|engine| (engine.name, engine.ask)).next() {
        Some((name, ask)) => {
            format!("{name} runs this job alone, not {total} of it; ask for {ask} with N = {total}")
        }
        None => format!("no engine says here which shard this is: `--shard i/{total}`"),
    }
}

/// What an engine calls a run and an attempt at a job of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Of all jobs of a run the same; none where nobody says it.
    pub run: Option<String>,
    /// Later attempts at one shard have higher numbers.
    pub attempt: u64,
    /// The engine's own name for the attempt.
    pub attempt_name: Option<String>,
}

/// Engines by the variables that name a run and an attempt at a job.
const IDENTITIES: [(&str, &str); 9] = [
    ("XTASK_RUN_ID", "XTASK_RUN_ATTEMPT"),
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    ("CI_PIPELINE_ID", "CI_JOB_ID"),
    ("BUILDKITE_BUILD_ID", "BUILDKITE_RETRY_COUNT"),
    ("CIRCLE_WORKFLOW_ID", "CIRCLE_WORKFLOW_JOB_ID"),
    ("BUILD_BUILDID", "SYSTEM_JOBATTEMPT"),
    ("SLURM_ARRAY_JOB_ID", "SLURM_RESTART_COUNT"),
    ("CLOUD_RUN_EXECUTION", "CLOUD_RUN_TASK_ATTEMPT"),
    ("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT"),
];

/// Which run this is, and which attempt.
pub(crate) fn identity(env: &Env) -> Identity {
    let word = |name: &str| env.get(name).filter(|text| !text.is_empty()).cloned();
    let Some((run, attempt)) = IDENTITIES.iter().find(|(run, _)| word(run).is_some()) else {
        return Identity { attempt_name: word("HOSTNAME"), ..Identity::default() };
    };
    // Each element of an array of AWS has an id of its own, after a colon.
    let run = word(run).map(|id| match *run {
        "AWS_BATCH_JOB_ID" => id.split(':').next().unwrap_or_default().to_owned(),
        _ => id,
    });
    let name = word(attempt);
    let attempt = name.as_ref().and_then(|name| name.parse().ok()).unwrap_or_default();
    Identity { run, attempt, attempt_name: name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(words: &str) -> Env {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=').expect("NAME=VALUE");
            (name.to_owned(), value.to_owned())
        };
        words.split_whitespace().map(pair).collect()
    }

    #[track_caller]
    fn says(total: u32, words: &str, wanted: Result<u32, &str>) {
        let got = shard(Wanted::Auto(total), &env(words)).map(|shard| shard.index);
        match (got, wanted) {
            (Ok(index), Ok(wanted)) => assert_eq!(index, wanted, "{words}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{words}: {why}"),
            (got, wanted) => panic!("{words}: {got:?}, not {wanted:?}"),
        }
    }

    #[test]
    fn shards_are_typed_from_1_on() {
        assert_eq!(parse("3/12"), Ok(Wanted::This(Shard { index: 3, total: 12 })));
        assert_eq!(parse("auto/4"), Ok(Wanted::Auto(4)));
        for (word, why) in [
            ("0/4", "shards are counted from 1"),
            ("5/4", "there is no shard 5 of 4"),
            ("/", "lacks a number: is a variable of the engine empty?"),
            ("/4", "lacks a number: is a variable of the engine empty?"),
            ("3/", "lacks a number: is a variable of the engine empty?"),
            ("auto/", "lacks a number: is a variable of the engine empty?"),
            ("3", "must be `i/n` or `auto/n`, as in `3/12`"),
            ("auto", "must be `i/n` or `auto/n`, as in `3/12`"),
            ("3/0", "of the total, must be at least 1"),
            ("x/3", "of the shard, must be a whole number"),
            ("-1/3", "of the shard, must be at least 1"),
            ("1/3/3", "of the total, must be a whole number"),
            ("1/99999", "of the total, must be at most 10000"),
        ] {
            assert_eq!(parse(word), Err(why.to_owned()), "{word}");
        }
    }

    #[test]
    fn each_engine_counts_in_its_own_way() {
        says(4, "CI_NODE_INDEX=1 CI_NODE_TOTAL=4", Ok(1));
        says(4, "CI_NODE_INDEX=4 CI_NODE_TOTAL=4", Ok(4));
        says(4, "BUILDKITE_PARALLEL_JOB=0 BUILDKITE_PARALLEL_JOB_COUNT=4", Ok(1));
        says(4, "CIRCLE_NODE_INDEX=3 CIRCLE_NODE_TOTAL=4", Ok(4));
        says(4, "SYSTEM_JOBPOSITIONINPHASE=2 SYSTEM_TOTALJOBSINPHASE=4", Ok(2));
        says(4, "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=3", Ok(4));
        says(4, "JOB_COMPLETION_INDEX=0", Ok(1));
        says(4, "AWS_BATCH_JOB_ARRAY_INDEX=2 AWS_BATCH_JOB_ARRAY_SIZE=4", Ok(3));
        says(4, "BATCH_TASK_INDEX=0 BATCH_TASK_COUNT=4", Ok(1));
        says(4, "CLOUD_RUN_TASK_INDEX=3 CLOUD_RUN_TASK_COUNT=4", Ok(4));
        says(4, "TEST_SHARD_INDEX=1 TEST_TOTAL_SHARDS=4", Ok(2));
        says(4, "BITBUCKET_PARALLEL_STEP=0 BITBUCKET_PARALLEL_STEP_COUNT=4", Ok(1));
        says(4, "SEMAPHORE_JOB_INDEX=1 SEMAPHORE_JOB_COUNT=4", Ok(1));
    }

    #[test]
    fn a_job_that_is_alone_is_no_shard() {
        says(4, "CI_NODE_TOTAL=1", Err("GitLab CI runs this job alone, not 4 of it"));
        says(
            4,
            "SYSTEM_JOBPOSITIONINPHASE=1 SYSTEM_TOTALJOBSINPHASE=1",
            Err("Azure Pipelines runs this job alone, not 4 of it"),
        );
        says(4, "CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=1", Err("CircleCI runs this job alone"));
        says(4, "CLOUD_RUN_TASK_INDEX=0 CLOUD_RUN_TASK_COUNT=1", Err("Cloud Run runs this job"));
        says(1, "CI_NODE_TOTAL=1", Ok(1));
        says(1, "SYSTEM_JOBPOSITIONINPHASE=1 SYSTEM_TOTALJOBSINPHASE=1", Ok(1));
        says(1, "", Ok(1));
        says(4, "", Err("no engine says here which shard this is: `--shard i/4`"));
        says(4, "SLURM_PROCID=0 SLURM_NTASKS=1", Err("no engine says here"));
        says(4, "GITHUB_ACTIONS=true", Err("`--shard ${{ matrix.shard }}/4`"));
    }

    /// A matrix of two Pythons and two shards has four jobs; a group can grow while it runs.
    #[test]
    fn another_total_is_refused() {
        says(2, "CI_NODE_INDEX=3 CI_NODE_TOTAL=4", Err("GitLab CI runs 4 jobs (`CI_NODE_TOTAL`)"));
        says(2, "CI_NODE_INDEX=1 CI_NODE_TOTAL=4", Err("but there are 2 shards"));
        says(2, "BUILDKITE_PARALLEL_JOB=1 BUILDKITE_PARALLEL_JOB_COUNT=5", Err("runs 5 jobs"));
        says(2, "SYSTEM_JOBPOSITIONINPHASE=1 SYSTEM_TOTALJOBSINPHASE=4", Err("runs 4 jobs"));
    }

    /// The total never comes from Slurm: one element that is run again is an array of one.
    #[test]
    fn an_element_of_an_array_can_be_run_again_alone() {
        let again = "SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_MIN=2 SLURM_ARRAY_TASK_MAX=2";
        says(4, &format!("SLURM_ARRAY_TASK_ID=2 {again}"), Ok(3));
        let some = "SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=7";
        says(8, &format!("SLURM_ARRAY_TASK_ID=5 {some}"), Ok(6));
        says(
            4,
            "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4",
            Err("Slurm counts to 4, but of 4 shards the last is 3 there: `--array=0-M` with N = 4"),
        );
        says(4, "SLURM_ARRAY_TASK_ID=4", Err("Slurm counts to 4"));
        says(4, "JOB_COMPLETION_INDEX=4", Err("Kubernetes counts to 4"));
        says(4, "JOB_COMPLETION_INDEX=x", Err("`JOB_COMPLETION_INDEX` of Kubernetes is `x`"));
        says(4, "CI_NODE_INDEX=0 CI_NODE_TOTAL=4", Err("GitLab CI counts to 0"));
    }

    #[test]
    fn two_engines_are_one_too_many() {
        says(
            4,
            "CI_NODE_INDEX=1 CI_NODE_TOTAL=4 SLURM_ARRAY_TASK_ID=2",
            Err("both GitLab CI (`CI_NODE_INDEX`) and Slurm (`SLURM_ARRAY_TASK_ID`) count jobs"),
        );
        // A job of GitLab that is not parallel, on an element of an array.
        says(4, "CI_NODE_TOTAL=1 SLURM_ARRAY_TASK_ID=2", Ok(3));
    }

    #[test]
    fn runs_and_attempts_have_names() {
        let of = |words: &str| {
            let Identity { run, attempt, attempt_name } = identity(&env(words));
            (run.unwrap_or_default(), attempt, attempt_name.unwrap_or_default())
        };
        let wanted = |run: &str, attempt, name: &str| (run.to_owned(), attempt, name.to_owned());
        assert_eq!(of("GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=2"), wanted("7", 2, "2"));
        assert_eq!(of("CI_PIPELINE_ID=5 CI_JOB_ID=901"), wanted("5", 901, "901"));
        assert_eq!(of("SLURM_ARRAY_JOB_ID=5 SLURM_RESTART_COUNT=1"), wanted("5", 1, "1"));
        assert_eq!(of("SLURM_ARRAY_JOB_ID=5"), wanted("5", 0, ""));
        assert_eq!(of("CIRCLE_WORKFLOW_ID=a CIRCLE_WORKFLOW_JOB_ID=b"), wanted("a", 0, "b"));
        assert_eq!(of("AWS_BATCH_JOB_ID=x:3 AWS_BATCH_JOB_ATTEMPT=1"), wanted("x", 1, "1"));
        assert_eq!(of("JOB_COMPLETION_INDEX=1 HOSTNAME=pod-1"), wanted("", 0, "pod-1"));
        assert_eq!(of("XTASK_RUN_ID=mine GITHUB_RUN_ID=7"), wanted("mine", 0, ""));
    }
}
