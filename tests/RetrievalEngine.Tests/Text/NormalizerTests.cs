using System;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using NUnit.Framework;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

/// <summary>
/// Every code point, alone, through each normaliser. The expected values are SHA-256 of what the reference library (tokenizers 0.23.2 from npm)
/// makes of them: one line for each code point that changes, <c>cp;cp cp …</c> in hexadecimal digits.
/// </summary>
internal sealed class NormalizerTests
{
    [TestCase("NFC", 1120, "6fb78b1457dda0e2afa01841a97074aec927530b3d41766dcfde37da22cae391")]
    [TestCase("NFD", 13232, "28a942c790dbc11ab93ef1a0f64150e530b72f1c3b18fe2f09ecfa0662af369e")]
    [TestCase("NFKC", 4794, "2dbe885151d25efbc8c37cf49bf0bf14e20f6655c6acd31d362fd9cfeabc2fde")]
    [TestCase("NFKD", 16894, "537f17306ea6a563860f8153e355714bb7acefbfb335ad3d208a662d14ecf649")]
    public void Apply_EveryCodePoint_NormalisesAsTheReference(string type, int changed, string hash) =>
        Check(Read($$"""{"type": "{{type}}"}"""), static (c, result) => $"{c:x};{Hexadecimal(result)}\n", changed, hash);

    [TestCase(
        """{"type": "StripAccents"}""",
        2097,
        "cca42612492e9a22d00329f02f0c442d90e8a7decd7e9eca2ad6ee0ba6127483")]
    [TestCase(
        """{"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": false, "strip_accents": true, "lowercase": false}""",
        1567,
        "9a584460d50f378f8473e91a5468615e29b2c78e2ed9f51eb8ae210aa3b12878")]
    [TestCase(
        """{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": false, "strip_accents": false, "lowercase": false}""",
        137681,
        "f755b9e33e5845fa37036762048a6336952f67a7bcada629379b92116cd04ff5")]
    public void Apply_EveryCodePoint_DropsWhatTheReferenceDrops(string json, int dropped, string hash) =>
        Check(Read(json), static (c, result) => result.Length == 0 ? $"{c:x}\n" : "", dropped, hash);

    [TestCase(726, "0aa0dc770cdea06023b686cead1157e1e753b9aa0d3579864ec8a4c0d4fd4440")]
    public void IsPunctuation_EveryCodePoint_IsTheReferences(int count, string hash)
    {
        StringBuilder lines = new();
        for (int c = 0; c < 0x110000; c++)
        {
            if (Rune.IsValid(c) && CodePointPattern.IsPunctuation(c)) lines.Append(CultureInfo.InvariantCulture, $"{c:x}\n");
        }

        Check(lines, count, hash);
    }

    [TestCase("İSTANBUL ΑΣ ǅ ẞ 𐐀", "i\u0307stanbul ας ǆ ß 𐐨")]
    [TestCase("ΑΣ ΑΣΑ", "ασ ασα")]
    public void Lowercase_GoesByCodePoint(string text, string expected)
    {
        NormalizedText normalized = new();
        normalized.Reset(text, 0, track: false);
        new LowercaseNormalizer().Apply(normalized);
        Assert.That(normalized.Text.ToString(), Is.EqualTo(expected.Replace('ς', 'σ')));
    }

    private static Normalizer Read(string json) =>
        TokenizerComponents.ReadNormalizer(JsonFields.Parse(System.Text.Encoding.UTF8.GetBytes(json), "test"));

    private static string Hexadecimal(string text) =>
        string.Join(' ', text.EnumerateRunes().Select(r => r.Value.ToString("x", CultureInfo.InvariantCulture)));

    private static void Check(Normalizer normalizer, Func<int, string, string> line, int count, string hash)
    {
        StringBuilder lines = new();
        NormalizedText text = new();
        for (int c = 0; c < 0x110000; c++)
        {
            if (!Rune.IsValid(c)) continue;
            string source = new Rune(c).ToString();
            text.Reset(source, 0, track: false);
            normalizer.Apply(text);
            if (!text.Text.SequenceEqual(source)) lines.Append(line(c, text.Text.ToString()));
        }

        Check(lines, count, hash);
    }

    private static void Check(StringBuilder lines, int count, string hash)
    {
        string text = lines.ToString();
        Assert.That(text.AsSpan().Count('\n'), Is.EqualTo(count));
        Assert.That(Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text))), Is.EqualTo(hash));
    }
}
