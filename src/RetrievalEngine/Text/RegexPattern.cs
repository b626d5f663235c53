using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RetrievalEngine.Text;

/// <summary>
/// Any other regular expression of a <c>tokenizer.json</c>, written for Oniguruma and translated for .NET. .NET sees UTF-16 units, so text with
/// code points above U+FFFF is matched on a copy in which each of those is one character of the same category. Syntax that means something else
/// in .NET is refused by name.
/// </summary>
internal sealed class RegexPattern : SplitPattern
{
    /// <summary>Oniguruma's <c>\w</c> in a set; outside of one, Latin-1's superscripts and fractions belong to it as well.</summary>
    private const string WordClass = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24B6-\u24E9", Latin1Word = @"\u00B2\u00B3\u00B9\u00BC-\u00BE";

    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(5);
    private static readonly char[] _standIns = MakeStandIns();
    private readonly Regex _regex;
    private readonly string _tooSlow;

    private RegexPattern(Regex regex, string tooSlow) => (_regex, _tooSlow) = (regex, tooSlow);

    /// <summary>Translates <paramref name="pattern"/>, the field <c>Regex</c> of <paramref name="json"/>.</summary>
    /// <exception cref="InputException">The pattern is not valid or uses syntax that has no equal in .NET.</exception>
    public static RegexPattern Create(string pattern, JsonFields json)
    {
        try
        {
            string translated = new Translator(pattern, json).Run();
            Regex regex = new(translated, RegexOptions.CultureInvariant | RegexOptions.Multiline, _timeout);
            return new(regex, json.Error("Regex", $"takes more than {_timeout.TotalSeconds:0} s on one text").Message);
        }
        catch (ArgumentException e)
        {
            throw new InputException(json.Error("Regex", $"cannot be used: {e.Message}").Message, e);
        }
    }

    /// <exception cref="InputException">The expression takes too long on this text.</exception>
    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        try
        {
            if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
            {
                Find(text, text.Length, [], parts);
                return;
            }

            char[] shadow = new char[text.Length];
            int[] positions = new int[text.Length + 1];
            int length = 0;
            for (int i = 0, units; i < text.Length; i += units)
            {
                int c = NormalizedText.CodePointAt(text, i, out units);
                shadow[length] = c < 65536 ? (char)c : StandIn(c);
                positions[length++] = i;
            }

            positions[length] = text.Length;
            Find(shadow.AsSpan(0, length), text.Length, positions, parts);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException(_tooSlow, e);
        }
    }

    private void Find(ReadOnlySpan<char> text, int totalLength, int[] positions, List<SplitMatch> parts)
    {
        int At(int i) => positions.Length == 0 ? i : positions[i];
        int last = 0;
        bool any = false;
        foreach (ValueMatch match in _regex.EnumerateMatches(text))
        {
            int start = match.Index, end = start + match.Length;

            // Oniguruma's iteration leaves out an empty match right behind another match.
            if (match.Length == 0 && any && start == last) continue;
            if (start > last) parts.Add(new(At(last), At(start), IsMatch: false));
            parts.Add(new(At(start), At(end), IsMatch: true));
            last = end;
            any = true;
        }

        if (At(last) < totalLength) parts.Add(new(At(last), totalLength, IsMatch: false));
    }

    private static char StandIn(int c)
    {
        UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(c);
        return category == UnicodeCategory.OtherSymbol && CodePointPattern.IsWord(c) ? '\u24B6' : _standIns[(int)category];
    }

    /// <summary>One character of the basic plane for each category, from scripts that no pattern names.</summary>
    private static char[] MakeStandIns()
    {
        char[] standIns = new char[30];
        for (int c = 0x2000; c < 0xFF00; c++)
        {
            if (!char.IsSurrogate((char)c) && !char.IsWhiteSpace((char)c)) standIns[(int)char.GetUnicodeCategory((char)c)] = (char)c;
        }

        // Letters and digits: Vai, Cherokee and Saurashtra rather than what the scan ended with.
        standIns[(int)UnicodeCategory.OtherLetter] = '\uA500';
        standIns[(int)UnicodeCategory.UppercaseLetter] = '\u13A0';
        standIns[(int)UnicodeCategory.LowercaseLetter] = '\uAB70';
        standIns[(int)UnicodeCategory.DecimalDigitNumber] = '\uA8D0';
        return standIns;
    }

    /// <summary>Rewrites Oniguruma's syntax as .NET's.</summary>
    private sealed class Translator(string pattern, JsonFields json)
    {
        private readonly StringBuilder _output = new();
        private readonly Stack<(int Start, bool IgnoreCase)> _groups = new();
        private bool _ignoreCase;
        private int _atom = -1, _position;

        public string Run()
        {
            while (_position < pattern.Length)
            {
                char c = pattern[_position];
                if (char.IsSurrogate(c)) throw Refused("a character above U+FFFF");
                switch (c)
                {
                    case '\\':
                        _atom = _output.Length;
                        Escape(inClass: false);
                        break;
                    case '[':
                        _atom = _output.Length;
                        Class();
                        break;
                    case '(':
                        Group();
                        break;
                    case ')':
                        (_atom, _ignoreCase) = _groups.Count > 0 ? _groups.Pop() : throw Refused("an unopened \")\"");
                        Copy();
                        break;
                    case '*' or '+' or '?':
                        Quantifier();
                        break;
                    case '{':
                        Copy();
                        while (_position < pattern.Length && (char.IsAsciiDigit(pattern[_position]) || pattern[_position] is ',' or '}'))
                        {
                            Copy();
                            if (pattern[_position - 1] == '}') break;
                        }

                        break;
                    default:
                        _atom = _output.Length;
                        if (_ignoreCase && c is 's' or 'S')
                        {
                            _output.Append("[sſ]");
                            _position++;
                        }
                        else
                        {
                            Copy();
                        }

                        break;
                }
            }

            return _output.ToString();
        }

        private void Copy() => _output.Append(pattern[_position++]);

        private char Peek(int ahead) => _position + ahead < pattern.Length ? pattern[_position + ahead] : '\0';

        private void Quantifier()
        {
            Copy();
            if (Peek(0) == '?')
            {
                Copy();
            }
            else if (Peek(0) == '+' && _atom >= 0)
            {
                // Possessive: once matched, never given back.
                _position++;
                _output.Insert(_atom, "(?>").Append(')');
            }
        }

        private void Group()
        {
            _groups.Push((_output.Length, _ignoreCase));
            Copy();
            if (Peek(0) != '?') return;
            string rest = pattern[_position..Math.Min(pattern.Length, _position + 4)];
            if (rest.StartsWith("?i)", StringComparison.Ordinal))
            {
                _groups.Pop();
                _ignoreCase = true;
                _output.Append("?i)");
                _position += 3;
                return;
            }

            foreach (string head in (string[])["?:", "?=", "?!", "?>", "?<=", "?<!", "?i:"])
            {
                if (!rest.StartsWith(head, StringComparison.Ordinal)) continue;
                _output.Append(head);
                _position += head.Length;
                if (head == "?i:") _ignoreCase = true;
                return;
            }

            throw Refused($"the group \"({rest}\"");
        }

        private void Class()
        {
            Copy();
            if (Peek(0) == '^') Copy();
            for (bool first = true; ; first = false)
            {
                char c = Peek(0);
                if (_position >= pattern.Length) throw Refused("an unclosed \"[\"");
                if (char.IsSurrogate(c)) throw Refused("a character above U+FFFF");
                if (c == '[' || (c == '&' && Peek(1) == '&')) throw Refused("a set inside a set");
                if (c == ']' && !first) break;
                if (c == '\\')
                {
                    Escape(inClass: true);
                }
                else
                {
                    Copy();
                }
            }

            Copy();
        }

        private void Escape(bool inClass)
        {
            char c = Peek(1);
            if (c is 'p' or 'P')
            {
                int close = pattern.IndexOf('}', _position);
                string name = Peek(2) == '{' && close > 0 ? pattern[(_position + 3)..close] : "";
                if (name.Length is 0 or > 2 || !char.IsAsciiLetterUpper(name[0])) throw Refused($"the property \"\\{c}{{{name}}}\"");
                _output.Append('\\').Append(c).Append('{').Append(name).Append('}');
                _position = close + 1;
            }
            else if (c == 'w' || (c == 'W' && !inClass))
            {
                _output.Append(inClass ? "" : c == 'w' ? "[" : "[^").Append(WordClass).Append(inClass ? "" : Latin1Word + "]");
                _position += 2;
            }
            else if (c == 'x' && Peek(2) == '{')
            {
                int close = pattern.IndexOf('}', _position);
                ReadOnlySpan<char> digits = close < 0 ? "" : pattern.AsSpan(_position + 3, close - _position - 3);
                if (!int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || value is < 0 or > 0xFFFF)
                {
                    throw Refused("a character above U+FFFF");
                }

                _output.Append(CultureInfo.InvariantCulture, $"\\u{value:X4}");
                _position = close + 1;
            }
            else if (c != '\0' && (!char.IsAsciiLetterOrDigit(c) || "sSdDrntfvAzu".Contains(c) || (c == 'x' && char.IsAsciiHexDigit(Peek(2)))))
            {
                Copy();
                Copy();
            }
            else
            {
                throw Refused($"\"\\{c}\"");
            }
        }

        private InputException Refused(string what) => json.Error("Regex", $"uses {what}, which is not supported");
    }
}
