//! Two operators: one acts and the other stands by, whatever happens to the one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proofload_api::{Phase, Verdict};
use proofload_e2e::{Run, Site, leaders, load_test, until};

/// What was seen of a run until its verdict.
struct Seen {
    /// Who said that it leads, in this order, each once in a row.
    leaders: Vec<String>,
    /// Every verdict that status ever had, each with its time of completion.
    verdicts: Vec<(Verdict, String)>,
}

/// Watches a run to its end and for some time after it. Never do two operators say that they lead.
async fn watch(site: &Site, run: &Run<'_>, seconds: u64) -> Result<Seen> {
    let http = reqwest::Client::builder().timeout(Duration::from_millis(500)).build()?;
    let mut seen = Seen { leaders: Vec::new(), verdicts: Vec::new() };
    let (mut ended, deadline) = (None, Instant::now() + Duration::from_secs(seconds));
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    while ended.is_none_or(|ended: Instant| ended.elapsed() < Duration::from_secs(5)) {
        ticks.tick().await;
        ensure!(Instant::now() < deadline, "no verdict within {seconds} s: {:?}", run.status().await?);
        if let Some(leader) = leaders::one_leads_at_most(&site.client, &http).await?
            && seen.leaders.last() != Some(&leader)
        {
            seen.leaders.push(leader);
        }
        let status = run.status().await?;
        if let Some(verdict) = status.verdict {
            let completed = status.completion_time.map(|time| time.0.to_string()).unwrap_or_default();
            if seen.verdicts.last() != Some(&(verdict, completed.clone())) {
                seen.verdicts.push((verdict, completed));
            }
            ended.get_or_insert_with(Instant::now);
        }
    }
    Ok(seen)
}

/// What must be of a run whose leader was lost: one verdict, one Job, one report, and each request counted once.
async fn is_whole(site: &Site, run: &Run<'_>, seen: &Seen) -> Result<()> {
    let verdicts: Vec<_> = seen.verdicts.iter().map(|(verdict, _)| *verdict).collect();
    ensure!(verdicts == [Verdict::Passed], "{:?}: {:?}", seen.verdicts, run.status().await?);
    let report = run.report().await?;
    let counts = site.counts().await?;
    ensure!(report.summary.requests == counts.requests, "{} of {}", report.summary.requests, counts.requests);
    ensure!(report.doubts.is_empty(), "{:?}", report.doubts);
    ensure!(site.jobs().await?.items.len() == 1, "one Job");
    let reports = site.made().await?.into_iter().filter(|name| name.contains("report")).count();
    ensure!(reports == 1, "one report, {:?}", site.made().await?);
    Ok(())
}

async fn killed(site: &Site) -> Result<()> {
    let before = leaders::lease(&site.client).await?.lease_transitions.unwrap_or(0);
    let leader = leaders::leader(&site.client, 30).await?;
    let run = Run::create(site, &load_test(site, "failover", 3, 6, 45)).await?;
    run.sends(100, 60).await?;
    leaders::kill(&site.client, &leader).await?;
    let seen = watch(site, &run, 150).await?;
    is_whole(site, &run, &seen).await?;
    // It can no longer be asked, so that the first that says so is the one that stood by.
    let [next] = &seen.leaders[..] else { anyhow::bail!("one leader after the first: {:?}", seen.leaders) };
    ensure!(*next != leader, "{leader} was killed");
    let record = leaders::lease(&site.client).await?;
    ensure!(record.lease_transitions == Some(before + 1), "{record:?}, {before} before");
    ensure!(record.holder_identity.as_ref() == Some(next), "{record:?}");
    Ok(())
}

#[tokio::test]
async fn fault_a_leader_that_is_killed_mid_run_changes_nothing_but_a_pause() -> Result<()> {
    let site = Site::new("leader-killed").await?;
    leaders::with_operators(&site.client, 2, Box::pin(killed(&site))).await?;
    site.close().await
}

async fn removed(site: &Site) -> Result<()> {
    let leader = leaders::leader(&site.client, 30).await?;
    let run = Run::create(site, &load_test(site, "drain", 2, 4, 20)).await?;
    run.sends(100, 60).await?;
    let asked = Instant::now();
    leaders::remove(&site.client, &leader).await?;
    // Much sooner than a Lease that nobody lets go.
    leaders::leader_after(&site.client, &leader, 12).await.with_context(|| format!("after {:?}", asked.elapsed()))?;
    let seen = watch(site, &run, 90).await?;
    is_whole(site, &run, &seen).await
}

#[tokio::test]
async fn fault_a_leader_that_is_told_to_end_hands_over_at_once() -> Result<()> {
    let site = Site::new("leader-removed").await?;
    leaders::with_operators(&site.client, 2, Box::pin(removed(&site))).await?;
    site.close().await
}

async fn two_at_once(site: &Site) -> Result<()> {
    let http = reqwest::Client::new();
    let leader = until("one that leads and one that stands by", 30, || async {
        let standings = leaders::standings(&site.client, &http).await?;
        let standby =
            standings.iter().find_map(|(_, says)| says.trim().strip_prefix("standby: ")?.strip_suffix(" leads"));
        let leader = standings.iter().find(|(_, says)| says.trim() == "leads").map(|(name, _)| name);
        let is_said = standings.len() == 2 && leader.is_some() && standby == leader.map(String::as_str);
        Ok(if is_said { leader.cloned().ok_or_else(String::new) } else { Err(format!("they say {standings:?}")) })
    })
    .await?;
    let before = leaders::lease(&site.client).await?.lease_transitions;
    let run = Run::create(site, &load_test(site, "together", 2, 4, 15)).await?;
    run.reaches(Phase::Running, 60).await?;
    let seen = watch(site, &run, 90).await?;
    is_whole(site, &run, &seen).await?;
    ensure!(seen.leaders == [leader], "it is the same all the time: {:?}", seen.leaders);
    ensure!(leaders::lease(&site.client).await?.lease_transitions == before, "nobody else held the Lease");
    Ok(())
}

#[tokio::test]
async fn e2e_of_two_operators_one_acts_and_the_other_says_who() -> Result<()> {
    let site = Site::new("two-operators").await?;
    leaders::with_operators(&site.client, 2, Box::pin(two_at_once(&site))).await?;
    site.close().await
}
