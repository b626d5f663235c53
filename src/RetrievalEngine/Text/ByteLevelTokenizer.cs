using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>
/// Byte-level BPE from <c>vocab.json</c> and <c>merges.txt</c> as transformers makes it for the class that reads them: GPT-2, Phi (CodeGen), RoBERTa,
/// Qwen2, Llama 3.
/// </summary>
internal static class ByteLevelTokenizer
{
    /// <summary>Reads the two files; <paramref name="where"/> begins messages.</summary>
    /// <exception cref="InputException">They are damaged, or the class cannot be used.</exception>
    public static TokenizerParts Read(JsonFields vocabularyFile, byte[] mergesFile, TokenizerSettings settings, string where)
    {
        string kind = settings.Class ?? "GPT2Tokenizer";
        bool llama = kind == "LlamaTokenizer";
        if (kind is not ("GPT2Tokenizer" or "CodeGenTokenizer" or "RobertaTokenizer" or "Qwen2Tokenizer") && !llama)
            throw new InputException($"{where}: vocab.json and merges.txt read by {kind} are not supported; GPT2Tokenizer, CodeGenTokenizer, RobertaTokenizer and Qwen2Tokenizer are");
        Vocabulary vocabulary = ModelFile.ReadVocabulary(vocabularyFile);
        BpeModel model = new(vocabulary, Merges(mergesFile, vocabulary, where), new BpeOptions(IgnoreMerges: llama), unknown: -1);
        Dictionary<string, string> defaults = kind switch
        {
            "RobertaTokenizer" => new()
            {
                ["bos_token"] = "<s>",
                ["eos_token"] = "</s>",
                ["sep_token"] = "</s>",
                ["cls_token"] = "<s>",
                ["unk_token"] = "<unk>",
                ["pad_token"] = "<pad>",
                ["mask_token"] = "<mask>",
            },
            "LlamaTokenizer" => new() { ["bos_token"] = "<|begin_of_text|>", ["eos_token"] = "<|end_of_text|>" },
            _ => new() { ["eos_token"] = "<|endoftext|>" },
        };
        List<(int? Id, AddedToken Token)> added = [];
        foreach ((int? id, AddedToken token) in settings.Added(defaults)) added.Add((id, kind == "RobertaTokenizer" && token.Content == "<mask>" ? token with { LeftStrip = true } : token));
        GptPattern pattern = kind == "Qwen2Tokenizer" ? GptPattern.Qwen2 : llama ? GptPattern.Llama3 : GptPattern.Gpt2;
        Normalizer? normalizer = kind == "Qwen2Tokenizer" ? new UnicodeFormNormalizer(UnicodeTables.Traits.Nfc) : null;
        return Build(model, pattern, normalizer, settings.Flag("add_prefix_space") ?? false, AddedTokenList.Make(added, vocabulary), settings);
    }

    /// <summary>Puts byte-level BPE together.</summary>
    public static TokenizerParts Build(BpeModel model, GptPattern pattern, Normalizer? normalizer, bool prefixSpace, AddedToken[] added, TokenizerSettings settings)
    {
        List<PreTokenizer> preTokenizers = [new SplitPreTokenizer(pattern, SplitBehavior.Isolated, invert: false)];
        if (prefixSpace) preTokenizers.Insert(0, new PrefixSpacePreTokenizer());
        return new(normalizer, [.. preTokenizers], true, model, added, Template(pattern, prefixSpace, added, model.Vocabulary, settings), new ByteLevelDecoder());
    }

    private static PostProcessor Template(GptPattern pattern, bool prefixSpace, AddedToken[] added, Vocabulary vocabulary, TokenizerSettings settings)
    {
        (string Token, int Id)? Named(string name, string otherwise)
        {
            string token = settings.Special(name) ?? otherwise;
            int id = Array.Find(added, a => a.Content == token)?.Id ?? vocabulary.IdOf(token);
            return id < 0 ? null : (token, id);
        }

        if (settings.Class == "RobertaTokenizer" && Named("cls_token", "<s>") is { } cls && Named("sep_token", "</s>") is { } sep)
            return PostProcessor.Surround(cls, sep, separators: 2, secondType: 0) with { Trims = [prefixSpace] };
        bool llama = pattern == GptPattern.Llama3;
        bool[] trims = llama ? [true] : [];
        if (!(settings.Flag("add_bos_token") ?? llama) || Named("bos_token", llama ? "<|begin_of_text|>" : "<|endoftext|>") is not { } bos)
            return PostProcessor.None with { Trims = trims };
        TemplatePart first = TemplatePart.Of(bos, 0), text = TemplatePart.Of(0, 0);
        return new([first, text], [first, text, TemplatePart.Of(bos, 1), TemplatePart.Of(1, 1)], trims);
    }

    private static List<Merge> Merges(byte[] bytes, Vocabulary vocabulary, string where)
    {
        if (!System.Text.Unicode.Utf8.IsValid(bytes)) throw new InputException($"{where}: merges.txt is not valid UTF-8");
        List<Merge> merges = [];
        int number = 0;
        foreach (ReadOnlySpan<char> raw in System.Text.Encoding.UTF8.GetString(bytes).AsSpan().EnumerateLines())
        {
            number++;
            if (raw.IsWhiteSpace() || (number == 1 && raw.StartsWith("#version"))) continue;
            int space = raw.IndexOf(' ');
            string left = space > 0 ? raw[..space].ToString() : "", right = space > 0 ? raw[(space + 1)..].ToString() : "";
            Merge merge = new(vocabulary.IdOf(left), vocabulary.IdOf(right), vocabulary.IdOf(left + right));
            if (merge.Left < 0 || merge.Right < 0 || merge.Result < 0) throw new InputException($"{where}: merges.txt line {number}: two tokens of vocab.json that make a third are expected");
            merges.Add(merge);
        }

        return merges;
    }
}
