//! Parses the text of an expression.

use super::{ArithmeticOperator, ExprError, ExprFunction, ExprNode, ExprResource};
use crate::model::quantity::Quantity;

/// Parentheses, minus signs and calls that may be inside each other.
const MAX_NESTING: usize = 50;
/// Units a number may have. Kruise knows no exa units.
const UNITS: [&str; 11] = ["m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];

/// Parses a whole text.
pub(super) fn parse_root(text: &str) -> Result<ExprNode, ExprError> {
    let mut parser = ExprParser { tokens: tokenize(text)?, next: 0, depth: 0 };
    let root = parser.parse_sum()?;
    parser.expect(&ExprToken::End, "the end")?;
    Ok(root)
}

#[derive(Debug, Clone, PartialEq)]
enum ExprToken {
    Number(f64),
    Quantity(Quantity),
    Name(String),
    Symbol(char),
    End,
}

fn tokenize(text: &str) -> Result<Vec<(usize, ExprToken)>, ExprError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let start = at;
        let token = match c {
            _ if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '0'..='9' | '.' => {
                at += number_length(&chars[at..]);
                parse_number(&chars[start..at].iter().collect::<String>(), start + 1)?
            }
            _ if c.is_alphabetic() => {
                at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                ExprToken::Name(chars[start..at].iter().collect())
            }
            '+' | '-' | '*' | '/' | '(' | ')' | ',' => {
                at += 1;
                ExprToken::Symbol(c)
            }
            _ => return Err(ExprError { column: at + 1, message: format!("`{c}` has no meaning") }),
        };
        tokens.push((start + 1, token));
    }
    tokens.push((chars.len() + 1, ExprToken::End));
    Ok(tokens)
}

/// Returns how many characters belong to the number they start with: digits, one point, an exponent, and either a
/// percent sign or a unit.
fn number_length(chars: &[char]) -> usize {
    let (mut has_point, mut has_exponent, mut sign_allowed) = (false, false, false);
    for (at, c) in chars.iter().enumerate() {
        match c {
            '0'..='9' => sign_allowed = false,
            '.' if !has_point && !has_exponent => has_point = true,
            'e' | 'E' if !has_exponent => (has_exponent, sign_allowed) = (true, true),
            '+' | '-' if sign_allowed => sign_allowed = false,
            '%' => return at + 1,
            _ if c.is_alphabetic() && !sign_allowed => {
                return at + chars[at..].iter().take_while(|c| c.is_alphabetic()).count();
            }
            _ => return at,
        }
    }
    chars.len()
}

fn parse_number(text: &str, column: usize) -> Result<ExprToken, ExprError> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = &text[digits.len()..];
    let error = |message: String| ExprError { column, message };
    let plain = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    if UNITS.contains(&unit) {
        let quantity =
            Quantity::parse(text).map_err(|_| error(format!("`{text}` is not a valid quantity")))?;
        return Ok(ExprToken::Quantity(quantity));
    }
    if let Some(percent) = text.strip_suffix('%') {
        let n = plain(percent).ok_or_else(|| error(format!("`{text}` is not a valid percentage")))?;
        return Ok(ExprToken::Number(n / 100.0));
    }
    let units = "m k M G T P Ki Mi Gi Ti Pi";
    match plain(text) {
        Some(n) if unit.is_empty() => Ok(ExprToken::Number(n)),
        _ if unit.is_empty() => Err(error(format!("`{text}` is not a valid number"))),
        _ => Err(error(format!("`{unit}` is not a valid unit; the units are {units}"))),
    }
}

struct ExprParser {
    tokens: Vec<(usize, ExprToken)>,
    next: usize,
    depth: usize,
}

impl ExprParser {
    fn peek(&self) -> &(usize, ExprToken) {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> (usize, ExprToken) {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn expect(&mut self, wanted: &ExprToken, name: &str) -> Result<(), ExprError> {
        let (column, token) = self.take();
        if token == *wanted { Ok(()) } else { Err(unexpected(column, &token, name)) }
    }

    fn parse_sum(&mut self) -> Result<ExprNode, ExprError> {
        self.parse_chain(
            &[('+', ArithmeticOperator::Plus), ('-', ArithmeticOperator::Minus)],
            Self::parse_product,
        )
    }

    fn parse_product(&mut self) -> Result<ExprNode, ExprError> {
        self.parse_chain(
            &[('*', ArithmeticOperator::Times), ('/', ArithmeticOperator::DividedBy)],
            Self::parse_factor,
        )
    }

    fn parse_chain(
        &mut self,
        operators: &[(char, ArithmeticOperator)],
        operand: fn(&mut Self) -> Result<ExprNode, ExprError>,
    ) -> Result<ExprNode, ExprError> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let ExprToken::Symbol(sign) = self.peek().1
            && let Some((_, operator)) = operators.iter().find(|(s, _)| *s == sign)
        {
            self.take();
            rest.push((*operator, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { ExprNode::Chain(Box::new(first), rest) })
    }

    fn parse_factor(&mut self) -> Result<ExprNode, ExprError> {
        let (column, token) = self.take();
        if self.depth >= MAX_NESTING {
            return Err(ExprError { column, message: "too many levels of parentheses".into() });
        }
        self.depth += 1;
        let node = match token {
            ExprToken::Number(n) => Ok(ExprNode::Number(n)),
            ExprToken::Quantity(q) => Ok(ExprNode::Quantity(q)),
            ExprToken::Symbol('-') => Ok(ExprNode::Negated(Box::new(self.parse_factor()?))),
            ExprToken::Symbol('(') => self.parse_sum().and_then(|inner| {
                self.expect(&ExprToken::Symbol(')'), "`)`")?;
                Ok(inner)
            }),
            ExprToken::Name(name) if self.peek().1 == ExprToken::Symbol('(') => {
                self.parse_call(column, &name)
            }
            ExprToken::Name(name) => match name.to_lowercase().as_str() {
                "cpu" => Ok(ExprNode::Variable(ExprResource::Cpu)),
                "memory" => Ok(ExprNode::Variable(ExprResource::Memory)),
                _ => Err(ExprError {
                    column,
                    message: format!("`{name}` is not a variable; use `cpu` or `memory`"),
                }),
            },
            token => Err(unexpected(column, &token, "a number, a quantity, a variable or `(`")),
        };
        self.depth -= 1;
        node
    }

    fn parse_call(&mut self, column: usize, name: &str) -> Result<ExprNode, ExprError> {
        let function = match name.to_lowercase().as_str() {
            "max" => ExprFunction::Max,
            "min" => ExprFunction::Min,
            _ => {
                let message = format!("`{name}` is not a function; use `max` or `min`");
                return Err(ExprError { column, message });
            }
        };
        self.take();
        let first = self.parse_sum()?;
        self.expect(&ExprToken::Symbol(','), &format!("`,` (`{name}` takes two arguments)"))?;
        let second = self.parse_sum()?;
        self.expect(&ExprToken::Symbol(')'), &format!("`)` (`{name}` takes two arguments)"))?;
        Ok(ExprNode::Call(function, Box::new((first, second))))
    }
}

fn unexpected(column: usize, token: &ExprToken, wanted: &str) -> ExprError {
    let found = match token {
        ExprToken::Number(n) => format!("the number `{n}`"),
        ExprToken::Quantity(q) => format!("the quantity `{q}`"),
        ExprToken::Name(name) => format!("`{name}`"),
        ExprToken::Symbol(c) => format!("`{c}`"),
        ExprToken::End => "the end".into(),
    };
    ExprError { column, message: format!("found {found} instead of {wanted}") }
}
