//! The forms that a scrape can ask for, and which of them it wants most.

use mediatype::{MediaType, MediaTypeList, Name, ReadParams as _, names};

use crate::exposition::Exposition;
use crate::{protobuf, text};

/// A form of an [`Exposition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text, version 0.0.4: for people, and for whoever asks for nothing else.
    Text,
    /// `OpenMetrics`, version 1.0.0: what Prometheus asks for by itself.
    OpenMetrics,
    /// Prometheus's protobuf: what it asks for where native histograms are wanted, which no text can carry.
    Protobuf,
}

impl Format {
    /// The form that an `Accept` header wants most, of several alike the first. Text where there is none that we have:
    /// that is what scrapers understand without asking.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in MediaTypeList::new(accept).flatten() {
            let quality = quality(&range);
            if let Some(format) = Self::of(&range).filter(|_| quality > best.1) {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The form that a media range names.
    fn of(range: &MediaType<'_>) -> Option<Self> {
        let is = |name: &str, value: &str| parameter(range, name).is_none_or(|asked| asked.eq_ignore_ascii_case(value));
        let named = |ty: &str, subty: &str| range.ty == *ty && range.subty == *subty;
        if named("application", "vnd.google.protobuf") && range.suffix.is_none() {
            let is_ours = is("proto", "io.prometheus.client.MetricFamily") && is("encoding", "delimited");
            return is_ours.then_some(Self::Protobuf);
        }
        if named("application", "openmetrics-text") {
            return is("version", "1.0.0").then_some(Self::OpenMetrics);
        }
        let is_text = (named("text", "plain") && is("version", "0.0.4")) || named("text", "*") || named("*", "*");
        is_text.then_some(Self::Text)
    }

    /// What it is called in an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Writes values down.
    pub fn write(self, exposition: &Exposition) -> Vec<u8> {
        match self {
            Self::Text => text::write(exposition, text::Dialect::Prometheus).into_bytes(),
            Self::OpenMetrics => text::write(exposition, text::Dialect::OpenMetrics).into_bytes(),
            Self::Protobuf => protobuf::write(exposition),
        }
    }
}

fn parameter(range: &MediaType<'_>, name: &str) -> Option<String> {
    Some(range.get_param(Name::new(name)?)?.unquoted_str().into_owned())
}

/// How much a range is wanted, 0..=1; what makes no sense is not wanted.
fn quality(range: &MediaType<'_>) -> f32 {
    let asked = range.get_param(names::Q).map(|value| value.unquoted_str().parse::<f32>());
    asked.unwrap_or(Ok(1.0)).ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn each_release_of_prometheus_gets_what_it_wants_most() {
        let texts_of_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(texts_of_2), Format::OpenMetrics);
        let native_of_2 = format!("{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,{texts_of_2}");
        assert_eq!(Format::accepted(&native_of_2), Format::Protobuf);
        let texts_of_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(texts_of_3), Format::OpenMetrics);
        let native_of_3 = format!("{PROTOBUF};q=0.6,{texts_of_3}");
        assert_eq!(Format::accepted(&native_of_3), Format::Protobuf);
    }

    #[test]
    fn whoever_asks_for_nothing_that_there_is_gets_text() {
        let others = "application/openmetrics-text; version=2.0.0, text/plain; version=1.0.0";
        let descriptors = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text";
        for accept in ["", "*/*", "text/html,application/xml;q=0.9,*/*;q=0.8", "application/json", others, descriptors]
        {
            assert_eq!(Format::accepted(accept), Format::Text, "{accept}");
        }
        assert_eq!(Format::accepted("text/plain;q=0.1, application/openmetrics-text;q=0"), Format::Text);
        assert_eq!(Format::accepted("text/*;q=0.2, application/openmetrics-text;q=0.1"), Format::Text);
        assert_eq!(Format::accepted("application/openmetrics-text;q=x"), Format::Text);
        assert_eq!(Format::accepted(", ;;, application/openmetrics-text"), Format::OpenMetrics);
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(accept in ".{0,200}|[a-z/*;=q0-9., \"]{0,200}") {
            Format::accepted(&accept);
        }
    }
}
