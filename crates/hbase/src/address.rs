//! Where a table is: `hbase://host:port,host:port/namespace:table/prefix?transport=framed`.

use std::fmt;
use thiserror::Error;

const SCHEME: &str = "hbase://";

/// How the gateway cuts the stream into messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Not at all: what a gateway does by itself.
    #[default]
    Buffered,
    /// With a length before each: a gateway that was started with `-framed`, `-nonblocking` or `-hsha`.
    Framed,
}

/// A table behind gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The gateways, `host:port`. One that answers is as good as another.
    pub gateways: Vec<String>,
    /// The table, with its namespace if that is not the default one.
    pub table: String,
    /// What the job's objects begin with; empty for all of the table.
    pub prefix: String,
    /// How the gateways speak.
    pub transport: Transport,
}

/// What is wrong with an address, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct AddressError {
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub advice: &'static str,
}

impl Address {
    /// Whether a text is meant as such an address.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When it is none; the error says where.
    ///
    /// ```
    /// use proxima_hbase::Address;
    /// let address = Address::parse("hbase://gateway:9090/proxima/shop").unwrap();
    /// assert_eq!((&*address.table, &*address.prefix), ("proxima", "shop"));
    /// assert_eq!(Address::parse("hbase://gateway/proxima").unwrap_err().to_string(), "\"gateway\" has no port");
    /// ```
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let shape = "write hbase://HOST:PORT/TABLE, several gateways separated by commas";
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it is no address of HBase", shape))?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (gateways, path) = rest.split_once('/').ok_or_else(|| wrong("it names no table", shape))?;
        let (table, prefix) = path.split_once('/').unwrap_or((path, ""));
        Ok(Self {
            gateways: gateways.split(',').map(gateway).collect::<Result<_, _>>()?,
            table: check_table(table)?,
            prefix: check_prefix(prefix.trim_matches('/'))?,
            transport: query.map_or(Ok(Transport::default()), transport)?,
        })
    }

    /// The table's namespace and its name there.
    #[must_use]
    pub fn namespace(&self) -> (Option<&str>, &str) {
        self.table.split_once(':').map_or((None, &*self.table), |(namespace, table)| (Some(namespace), table))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.gateways.join(","), self.table)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

fn wrong(what: impl Into<String>, advice: &'static str) -> AddressError {
    AddressError { what: what.into(), advice }
}

fn gateway(text: &str) -> Result<String, AddressError> {
    let advice = "write HOST:PORT of a Thrift2 gateway, which listens at 9090 unless it was told otherwise";
    let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong(format!("\"{text}\" has no port"), advice))?;
    if host.is_empty() {
        return Err(wrong(format!("\"{text}\" has no host"), advice));
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(text.to_owned()),
        _ => Err(wrong(format!("\"{port}\" is no port"), advice)),
    }
}

fn check_table(text: &str) -> Result<String, AddressError> {
    let advice = "write TABLE or NAMESPACE:TABLE, of letters, digits, _, - and .";
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with(['-', '.'])
    };
    let (namespace, table) = text.split_once(':').unwrap_or(("default", text));
    if text.is_empty() {
        Err(wrong("it names no table", advice))
    } else if is_name(namespace) && is_name(table) {
        Ok(text.to_owned())
    } else {
        Err(wrong(format!("\"{text}\" is no name of a table"), advice))
    }
}

fn check_prefix(text: &str) -> Result<String, AddressError> {
    if text.chars().any(char::is_control) {
        return Err(wrong("the prefix has a control character", "leave it out"));
    }
    Ok(text.to_owned())
}

fn transport(query: &str) -> Result<Transport, AddressError> {
    match query {
        "transport=buffered" => Ok(Transport::Buffered),
        "transport=framed" => Ok(Transport::Framed),
        _ => Err(wrong(format!("unknown option \"{query}\""), "write ?transport=framed, or nothing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_everything() {
        let text = "hbase://a:9090,[::1]:9091/shop:state/mall/eu/?transport=framed";
        let address = Address::parse(text).unwrap();
        assert_eq!(address.gateways, ["a:9090", "[::1]:9091"]);
        assert_eq!((&*address.table, &*address.prefix), ("shop:state", "mall/eu"));
        assert_eq!((address.namespace(), address.transport), ((Some("shop"), "state"), Transport::Framed));
        assert_eq!(address.to_string(), "hbase://a:9090,[::1]:9091/shop:state/mall/eu");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("s3://bucket/x", "it is no address of HBase"),
            ("hbase://a:9090", "it names no table"),
            ("hbase://a:9090/", "it names no table"),
            ("hbase://a:9090,b/t", "\"b\" has no port"),
            ("hbase://:9090/t", "\":9090\" has no host"),
            ("hbase://a:0/t", "\"0\" is no port"),
            ("hbase://a:thrift/t", "\"thrift\" is no port"),
            ("hbase://a:9090/my table", "\"my table\" is no name of a table"),
            ("hbase://a:9090/t?framed", "unknown option \"framed\""),
        ] {
            assert_eq!(Address::parse(text).unwrap_err().to_string(), what, "{text}");
        }
    }
}
