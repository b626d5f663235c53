using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>BERT's <c>vocab.txt</c>: a token a line, its id the number of the line.</summary>
internal static class WordPieceFile
{
    /// <summary>Builds the tokenizer as transformers' <c>BertTokenizer</c>; <paramref name="where"/> begins messages.</summary>
    /// <exception cref="InputException">The file is damaged, or the class cannot be used.</exception>
    public static TokenizerParts Build(byte[] bytes, TokenizerSettings settings, string where)
    {
        if (settings.Class is not (null or "BertTokenizer" or "DistilBertTokenizer"))
            throw new InputException($"{where}: a vocab.txt read by {settings.Class} is not supported; BertTokenizer is");
        if (!System.Text.Unicode.Utf8.IsValid(bytes)) throw new InputException($"{where}: not valid UTF-8");
        string text = System.Text.Encoding.UTF8.GetString(bytes);
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        int count = 0;
        foreach (Range range in text.AsSpan().TrimEnd('\n').Split('\n'))
        {
            if (count > Vocabulary.MaxId) throw new InputException($"{where}: more than {Vocabulary.MaxId} tokens");
            ids[text[range].TrimEnd('\r')] = count++;
        }

        Vocabulary vocabulary = new(ids);
        Dictionary<string, string> defaults = new()
        {
            ["unk_token"] = "[UNK]",
            ["sep_token"] = "[SEP]",
            ["pad_token"] = "[PAD]",
            ["cls_token"] = "[CLS]",
            ["mask_token"] = "[MASK]",
        };
        int Id(string name) =>
            vocabulary.IdOf(Token(name)) is >= 0 and int id ? id : throw new InputException($"{where}: the {name} {Token(name)} is not in the vocabulary");
        string Token(string name) => settings.Special(name) ?? defaults[name];

        bool lowercase = settings.Flag("do_lower_case") ?? true;
        return new(
            new BertNormalizer(cleanText: true, settings.Flag("tokenize_chinese_chars") ?? true, settings.Flag("strip_accents") ?? lowercase, lowercase),
            [
                new SplitPreTokenizer(new CodePointPattern(CodePointPattern.IsWhiteSpace), SplitBehavior.Removed, invert: false),
                new SplitPreTokenizer(new CodePointPattern(CodePointPattern.IsPunctuation), SplitBehavior.Isolated, invert: false),
            ],
            false,
            new WordPieceModel(vocabulary, Id("unk_token"), "##", 100),
            AddedTokenList.Make(settings.Added(defaults), vocabulary),
            PostProcessor.Surround((Token("cls_token"), Id("cls_token")), (Token("sep_token"), Id("sep_token")), separators: 1, secondType: 1),
            new WordPieceDecoder("##", cleanup: true));
    }
}
