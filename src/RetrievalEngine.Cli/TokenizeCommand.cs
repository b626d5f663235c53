using System;
using System.Buffers;
using System.CommandLine;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>tokenize</c>: what the model will see.</summary>
internal static class TokenizeCommand
{
    private const string Help = """
        Prints what a model sees of each line of standard input: one JSON object a line with the text, the input (text with its prefix), ids, tokens and offsets into the input
        (code points, end exclusive; [0, 0] for special tokens).

        Examples:
          echo "what is dense retrieval?" | retrieval tokenize --model all-MiniLM-L6-v2
          retrieval tokenize --model Llama-3-8B --adapter runs/lora --query < queries.txt > tokens.jsonl
          printf 'what is it?\tdense retrieval\n' | retrieval tokenize --model runs/cross-encoder
          retrieval tokenize --model Llama-2-7b-hf --pairs --preset rankllama-2023 < pairs.tsv
          retrieval tokenize --model Llama-3-8B --max-length 32 --no-special-tokens < queries.txt

        Prefix, length, special tokens and EOS are those that encode and train use for the model: the encoding contract. A folder with a tokenizer alone has no contract:
        the tokenizer's own rules hold, and there is no length unless --max-length gives one. With --pairs, or of a reranker, a line is query⇥passage or
        query⇥title⇥passage, and the object has ids, segments and tokens of the sequence that is scored.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model("Folder of a model, or of a tokenizer alone");
        model.Required = true;
        Option<string?> adapter = CommonOptions.Adapter();
        Option<bool> query = new("--query") { Description = "The lines are queries, not passages" };
        Option<int?> maxLength = new("--max-length") { Description = "Keep at most N tokens, special ones included", HelpName = "N" };
        Option<bool> noSpecialTokens = new("--no-special-tokens") { Description = "Leave out special tokens and EOS" };
        Option<bool> pairs = new("--pairs") { Description = "The lines are pairs for a reranker" };
        ContractOptions contracts = new();
        Command command = new("tokenize", Help) { model, adapter, query, pairs, maxLength, noSpecialTokens, contracts.PresetName };
        command.SetAction(parsed =>
        {
            string folder = parsed.GetRequiredValue(model);
            bool hasModel = File.Exists(Path.Combine(folder, ModelConfig.FileName));
            if (hasModel && (parsed.GetValue(pairs) || ModelConfig.Load(folder).IsSequenceClassification || (parsed.GetValue(adapter) is { } lora && AdapterConfig.Load(lora).IsReranker)))
            {
                RerankOverrides overrides = new RerankOverrides { MaxLength = parsed.GetValue(maxLength), AddSpecialTokens = parsed.GetValue(noSpecialTokens) ? false : null };
                PrintPairs(folder, RerankContractResolver.RulesFor(folder, parsed.GetValue(adapter), overrides.Over(contracts.ReadPairs(parsed))));
                return ExitCodes.Done;
            }

            bool plain = parsed.GetValue(noSpecialTokens);
            Tokenizer tokenizer = Tokenizer.Load(folder);
            EncodingContract? contract = hasModel ? EncodingContract.RulesFor(folder, parsed.GetValue(adapter), contracts.Read(parsed)) : null;
            EncodingSide side = parsed.GetValue(query) ? EncodingSide.Query : EncodingSide.Passage;
            bool special = !plain && (contract?.AddSpecialTokens ?? true);
            int? eos = !plain && contract is { AppendEosToken: true } ? contract.EosTokenId : null;
            int least = (special ? tokenizer.SpecialTokenCount : 0) + (eos is null ? 0 : 1);
            int most = parsed.GetValue(maxLength) ?? contract?.MaxLength(side) ?? int.MaxValue;
            if (most < least) throw new InputException($"--max-length {most} is too short: the special tokens alone are {least}");
            ArrayBufferWriter<byte> buffer = new();
            using Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            while (Console.In.ReadLine() is { } line)
            {
                string? input = side == EncodingSide.Query ? contract?.FormatQuery(line) : contract?.FormatPassage(title: null, line);
                TokenizedText tokens = tokenizer.EncodeWithOffsets(input ?? line, special, eos is null ? most : most - 1, contract?.TruncationSide ?? tokenizer.TruncationSide);
                if (eos is { } id) tokens = new TokenizedText([.. tokens.Ids, id], [.. tokens.TypeIds, 0], [.. tokens.Tokens, tokenizer.IdToToken(id) ?? ""], [.. tokens.Offsets, (0, 0)]);
                Write(writer, line, input, tokens);
                Console.Out.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan));
                buffer.ResetWrittenCount();
                writer.Reset();
            }

            return ExitCodes.Done;
        });
        return command;
    }

    private static void PrintPairs(string folder, RerankContract contract)
    {
        Tokenizer tokenizer = Tokenizer.Load(folder);
        PairTokenizer pairs = new(tokenizer, ModelConfig.Load(folder), contract);
        for (int number = 1; Console.In.ReadLine() is { } line; number++)
        {
            string[] fields = line.Split('\t');
            if (fields.Length is not (2 or 3)) throw new InputException($"line {number} of standard input has {fields.Length} columns; a pair is query⇥passage or query⇥title⇥passage");
            TokenPair pair = pairs.Tokenize(fields[0], [new Document("", fields.Length == 3 ? fields[1] : "", fields[^1])]).Pairs[0];
            JsonOutput.Print(writer =>
            {
                writer.WriteString("text", line);
                WriteNumbers(writer, "ids", pair.Ids);
                WriteNumbers(writer, "type_ids", pair.TypeIds);
                writer.WriteStartArray("tokens");
                foreach (int id in pair.Ids) writer.WriteStringValue(tokenizer.IdToToken(id));
                writer.WriteEndArray();
            });
        }
    }

    private static void WriteNumbers(Utf8JsonWriter writer, string name, int[] numbers)
    {
        writer.WriteStartArray(name);
        foreach (int number in numbers) writer.WriteNumberValue(number);
        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, string text, string? input, TokenizedText tokens)
    {
        writer.WriteStartObject();
        writer.WriteString("text", text);
        if (input is not null) writer.WriteString("input", input);
        WriteNumbers(writer, "ids", tokens.Ids);
        writer.WriteStartArray("tokens");
        foreach (string token in tokens.Tokens) writer.WriteStringValue(token);
        writer.WriteEndArray();
        writer.WriteStartArray("offsets");
        foreach ((int start, int end) in tokens.Offsets)
        {
            writer.WriteStartArray();
            writer.WriteNumberValue(start);
            writer.WriteNumberValue(end);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
    }
}
