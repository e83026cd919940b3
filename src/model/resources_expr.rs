//! The expressions of `resourcesPolicy`: sums over a resource of the application's containers, as `max(cpu*50%, 100m)`.
//!
//! Reading and reckoning follow Kruise v1.9.0 pkg/util/calculator, number for number. One thing differs: a number
//! with an unknown unit is an error here, where Kruise takes it for zero.

use crate::model::quantity::{Format, Quantity};
use std::fmt;

/// Parentheses, minus signs and calls that may stand inside each other.
const MOST_NESTING: usize = 50;
/// Units a number may have. Kruise knows no exa units.
const UNITS: [&str; 11] = ["m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];

/// The resource an expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The variable `cpu`.
    Cpu,
    /// The variable `memory`.
    Memory,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        })
    }
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Where in the text, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at column {}", self.message, self.column)
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvalError {
    /// It names a variable that has no value here.
    Undefined(Resource),
    /// Two quantities are multiplied.
    QuantityTimesQuantity,
    /// Something is divided by a quantity.
    DividedByQuantity,
    /// Something is divided by zero.
    DividedByZero,
    /// The result is below zero.
    Negative,
    /// A number on the way is larger than Kubernetes can hold.
    Overflow,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(f, "the variable `{name}` has no value here"),
            Self::QuantityTimesQuantity => f.write_str("two quantities cannot be multiplied"),
            Self::DividedByQuantity => f.write_str("nothing can be divided by a quantity"),
            Self::DividedByZero => f.write_str("it divides by zero"),
            Self::Negative => f.write_str("the result is negative"),
            Self::Overflow => f.write_str("a number is larger than Kubernetes can hold"),
        }
    }
}

/// An expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    root: Node,
    /// The variable that Kruise binds at injection: `memory` where the lower-case word occurs, else `cpu`.
    bound: Resource,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Quantity(Quantity),
    Variable(Resource),
    Negative(Box<Self>),
    /// A first operand, and what is done to it from left to right.
    Chain(Box<Self>, Vec<(Operator, Self)>),
    Call(Function, Box<(Self, Self)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Max,
    Min,
}

/// A value on the way: a plain number or a quantity.
#[derive(Debug, Clone)]
enum Term {
    Number(f64),
    Quantity(Quantity),
}

/// Reads an expression.
///
/// # Errors
/// When the text is none; the error says where.
pub fn parse(text: &str) -> Result<Expr, ExprError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let root = parser.sum()?;
    parser.expect(&Token::End, "the end")?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names_memory = text.split(|c| !is_word(c)).any(|word| word == "memory");
    Ok(Expr { root, bound: if names_memory { Resource::Memory } else { Resource::Cpu } })
}

impl Expr {
    /// Returns the value at injection, where the application's containers have this amount of the resource.
    ///
    /// # Errors
    /// When Kruise would refuse the pod.
    pub fn evaluate(&self, amount: &Quantity) -> Result<Quantity, EvalError> {
        match self.value(self.bound, &Term::Quantity(amount.clone()))? {
            Term::Quantity(q) => Ok(q),
            // Kruise v1.9.0 evaluateResourceExpression: only an expression that names `memory` counts whole bytes.
            Term::Number(n) if self.bound == Resource::Cpu => from_number(n),
            Term::Number(n) => {
                let milli = whole(n)?.checked_mul(1000).ok_or(EvalError::Overflow)?;
                Ok(Quantity::from_milli(milli, Format::DecimalSi))
            }
        }
    }

    /// Returns the value that Kruise's webhook tries an expression of a resource with: the plain number 1.
    ///
    /// # Errors
    /// When Kruise would refuse the SidecarSet.
    pub fn try_with_one(&self, resource: Resource) -> Result<(), EvalError> {
        self.value(resource, &Term::Number(1.0)).map(|_| ())
    }

    /// Tells whether the value hangs on a variable.
    pub fn has_variable(&self) -> bool {
        fn has(node: &Node) -> bool {
            match node {
                Node::Number(_) | Node::Quantity(_) => false,
                Node::Variable(_) => true,
                Node::Negative(of) => has(of),
                Node::Chain(first, rest) => has(first) || rest.iter().any(|(_, n)| has(n)),
                Node::Call(_, args) => has(&args.0) || has(&args.1),
            }
        }
        has(&self.root)
    }

    /// Returns the variable that has a value at injection.
    pub fn bound(&self) -> Resource {
        self.bound
    }

    fn value(&self, name: Resource, value: &Term) -> Result<Term, EvalError> {
        let result = evaluate(&self.root, name, value)?;
        let is_negative = match &result {
            Term::Number(n) => *n < 0.0,
            Term::Quantity(q) => q.sign() < 0,
        };
        if is_negative { Err(EvalError::Negative) } else { Ok(result) }
    }
}

fn evaluate(node: &Node, name: Resource, value: &Term) -> Result<Term, EvalError> {
    match node {
        Node::Number(n) => Ok(Term::Number(*n)),
        Node::Quantity(q) => Ok(Term::Quantity(q.clone())),
        Node::Variable(v) if *v == name => Ok(value.clone()),
        Node::Variable(v) => Err(EvalError::Undefined(*v)),
        Node::Negative(of) => Ok(match evaluate(of, name, value)? {
            Term::Number(n) => Term::Number(-n),
            Term::Quantity(q) => Term::Quantity(q.negated()),
        }),
        Node::Chain(first, rest) => {
            rest.iter().try_fold(evaluate(first, name, value)?, |left, (operator, right)| {
                apply(*operator, left, evaluate(right, name, value)?)
            })
        }
        Node::Call(function, args) => {
            choose(*function, evaluate(&args.0, name, value)?, evaluate(&args.1, name, value)?)
        }
    }
}

fn apply(operator: Operator, left: Term, right: Term) -> Result<Term, EvalError> {
    use Term::{Number, Quantity as Amount};
    Ok(match (operator, left, right) {
        (Operator::Plus, Number(a), Number(b)) => Number(a + b),
        (Operator::Minus, Number(a), Number(b)) => Number(a - b),
        (Operator::Times, Number(a), Number(b)) => Number(a * b),
        (Operator::By, _, Number(0.0)) => return Err(EvalError::DividedByZero),
        (Operator::By, Number(a), Number(b)) => Number(a / b),
        (Operator::By, Amount(q), Number(n)) => Amount(scaled(&q, |milli| milli / n)?),
        (Operator::By, _, Amount(_)) => return Err(EvalError::DividedByQuantity),
        (Operator::Times, Amount(_), Amount(_)) => return Err(EvalError::QuantityTimesQuantity),
        (Operator::Times, Amount(q), Number(n)) | (Operator::Times, Number(n), Amount(q)) => {
            Amount(scaled(&q, |milli| milli * n)?)
        }
        (Operator::Plus, a, b) => Amount(amount(a)?.plus(&amount(b)?)),
        (Operator::Minus, a, b) => Amount(amount(a)?.plus(&amount(b)?.negated())),
    })
}

fn choose(function: Function, left: Term, right: Term) -> Result<Term, EvalError> {
    let takes_left = |is_less: bool, is_equal: bool| is_equal || is_less == (function == Function::Min);
    if let (Term::Number(a), Term::Number(b)) = (&left, &right) {
        return Ok(Term::Number(if takes_left(a < b, a == b) { *a } else { *b }));
    }
    let (a, b) = (amount(left)?, amount(right)?);
    Ok(Term::Quantity(if takes_left(a < b, a == b) { a } else { b }))
}

/// Kruise reckons on thousandths, through a 64-bit float, and cuts toward zero.
fn scaled(quantity: &Quantity, by: impl Fn(f64) -> f64) -> Result<Quantity, EvalError> {
    let milli = quantity.milli().ok_or(EvalError::Overflow)?;
    Ok(quantity.with_milli(whole(by(milli as f64))?))
}

fn amount(term: Term) -> Result<Quantity, EvalError> {
    match term {
        Term::Number(n) => from_number(n),
        Term::Quantity(q) => Ok(q),
    }
}

fn from_number(number: f64) -> Result<Quantity, EvalError> {
    Ok(Quantity::from_milli(whole(number * 1000.0)?, Format::DecimalSi))
}

fn whole(number: f64) -> Result<i64, EvalError> {
    let most = i64::MAX as f64;
    if number.abs() < most { Ok(number as i64) } else { Err(EvalError::Overflow) }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Quantity(Quantity),
    Name(String),
    Sign(char),
    End,
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExprError> {
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
                number(&chars[start..at].iter().collect::<String>(), start + 1)?
            }
            _ if c.is_alphabetic() => {
                at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                Token::Name(chars[start..at].iter().collect())
            }
            '+' | '-' | '*' | '/' | '(' | ')' | ',' => {
                at += 1;
                Token::Sign(c)
            }
            _ => return Err(ExprError { column: at + 1, message: format!("`{c}` has no meaning") }),
        };
        tokens.push((start + 1, token));
    }
    tokens.push((chars.len() + 1, Token::End));
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

fn number(text: &str, column: usize) -> Result<Token, ExprError> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = &text[digits.len()..];
    let error = |message: String| ExprError { column, message };
    let plain = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    if UNITS.contains(&unit) {
        let quantity = Quantity::parse(text).map_err(|_| error(format!("`{text}` is no quantity")))?;
        return Ok(Token::Quantity(quantity));
    }
    if let Some(percent) = text.strip_suffix('%') {
        let n = plain(percent).ok_or_else(|| error(format!("`{text}` is no percentage")))?;
        return Ok(Token::Number(n / 100.0));
    }
    let units = "m k M G T P Ki Mi Gi Ti Pi";
    match plain(text) {
        Some(n) if unit.is_empty() => Ok(Token::Number(n)),
        _ if unit.is_empty() => Err(error(format!("`{text}` is no number"))),
        _ => Err(error(format!("`{unit}` is no unit; the units are {units}"))),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &(usize, Token) {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> (usize, Token) {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn expect(&mut self, wanted: &Token, name: &str) -> Result<(), ExprError> {
        let (column, token) = self.take();
        if token == *wanted { Ok(()) } else { Err(unexpected(column, &token, name)) }
    }

    fn sum(&mut self) -> Result<Node, ExprError> {
        self.chain(&[('+', Operator::Plus), ('-', Operator::Minus)], Self::product)
    }

    fn product(&mut self) -> Result<Node, ExprError> {
        self.chain(&[('*', Operator::Times), ('/', Operator::By)], Self::factor)
    }

    fn chain(
        &mut self,
        operators: &[(char, Operator)],
        operand: fn(&mut Self) -> Result<Node, ExprError>,
    ) -> Result<Node, ExprError> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Token::Sign(sign) = self.peek().1
            && let Some((_, operator)) = operators.iter().find(|(s, _)| *s == sign)
        {
            self.take();
            rest.push((*operator, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Node::Chain(Box::new(first), rest) })
    }

    fn factor(&mut self) -> Result<Node, ExprError> {
        let (column, token) = self.take();
        if self.depth >= MOST_NESTING {
            return Err(ExprError { column, message: "too many levels of parentheses".into() });
        }
        self.depth += 1;
        let node = match token {
            Token::Number(n) => Ok(Node::Number(n)),
            Token::Quantity(q) => Ok(Node::Quantity(q)),
            Token::Sign('-') => Ok(Node::Negative(Box::new(self.factor()?))),
            Token::Sign('(') => self.sum().and_then(|inner| {
                self.expect(&Token::Sign(')'), "`)`")?;
                Ok(inner)
            }),
            Token::Name(name) if self.peek().1 == Token::Sign('(') => self.call(column, &name),
            Token::Name(name) => match name.to_lowercase().as_str() {
                "cpu" => Ok(Node::Variable(Resource::Cpu)),
                "memory" => Ok(Node::Variable(Resource::Memory)),
                _ => Err(ExprError {
                    column,
                    message: format!("`{name}` is no variable; there are `cpu` and `memory`"),
                }),
            },
            token => Err(unexpected(column, &token, "a number, a quantity, a variable or `(`")),
        };
        self.depth -= 1;
        node
    }

    fn call(&mut self, column: usize, name: &str) -> Result<Node, ExprError> {
        let function = match name.to_lowercase().as_str() {
            "max" => Function::Max,
            "min" => Function::Min,
            _ => {
                let message = format!("`{name}` is no function; there are `max` and `min`");
                return Err(ExprError { column, message });
            }
        };
        self.take();
        let first = self.sum()?;
        self.expect(&Token::Sign(','), &format!("`,` (`{name}` takes two arguments)"))?;
        let second = self.sum()?;
        self.expect(&Token::Sign(')'), &format!("`)` (`{name}` takes two arguments)"))?;
        Ok(Node::Call(function, Box::new((first, second))))
    }
}

fn unexpected(column: usize, token: &Token, wanted: &str) -> ExprError {
    let found = match token {
        Token::Number(n) => format!("the number `{n}`"),
        Token::Quantity(q) => format!("the quantity `{q}`"),
        Token::Name(name) => format!("`{name}`"),
        Token::Sign(c) => format!("`{c}`"),
        Token::End => "the end".into(),
    };
    ExprError { column, message: format!("found {found} instead of {wanted}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, amount: &str) -> String {
        let amount = Quantity::parse(amount).expect("a quantity");
        match parse(text) {
            Ok(expr) => expr.evaluate(&amount).map_or_else(|e| format!("{e:?}"), |q| q.to_string()),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn reckons_as_kruise_does() {
        for (text, amount, wanted) in [
            ("cpu*50%", "1", "500m"),
            ("memory*50%", "1Gi", "512Mi"),
            ("min(max(max(0.5, 0.5*cpu), cpu-1), 3)", "1200m", "600m"),
            ("(memory + 100Mi) * 2", "1280Mi", "2760Mi"),
            ("(cpu+100m)/3", "600m", "233m"),
            ("cpu-100m-50m", "1200m", "1050m"),
            ("memory/2/2", "1280Mi", "320Mi"),
            ("memory-128Mi", "1280Mi", "1152Mi"),
            ("memory/5", "1Gi", "214748364800m"),
            ("memory/3", "1Ti", "366503875925333m"),
            ("cpu-1", "1", "0"),
            ("1.5", "1Gi", "1500m"),
            ("1000", "1Gi", "1k"),
            ("cpu*1e1", "1200m", "12"),
            ("memory*1E-1", "640Mi", "64Mi"),
            ("-cpu + 2", "1", "1"),
            ("cpu*100m", "1", "QuantityTimesQuantity"),
            ("1/cpu", "1", "DividedByQuantity"),
            ("cpu/0", "1", "DividedByZero"),
            ("cpu-2", "1", "Negative"),
            ("MAX(Memory, 1Mi)", "1Gi", "Undefined(Memory)"),
            ("cpu*1e30", "1", "Overflow"),
        ] {
            assert_eq!(value(text, amount), wanted, "{text} of {amount}");
        }
    }

    #[test]
    fn says_where_a_text_is_no_expression() {
        for (text, column) in [
            ("", 1),
            ("cpu ^ 2", 5),
            ("cpu cpu", 5),
            ("max(cpu)", 8),
            ("max(1, 2, 3)", 9),
            ("avg(cpu, 1)", 1),
            ("disk", 1),
            ("5Zi", 1),
            ("1Ei", 1),
            ("1..5", 3),
            ("50%%", 4),
            ("5e", 1),
            ("(cpu", 5),
        ] {
            assert_eq!(parse(text).map_err(|e| e.column), Err(column), "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&format!("cpu{}", "+1".repeat(100_000))).is_ok());
    }
}
