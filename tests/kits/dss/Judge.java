import eu.europa.esig.dss.enumerations.Indication;
import eu.europa.esig.dss.enumerations.SubIndication;
import eu.europa.esig.dss.jaxb.object.Message;
import eu.europa.esig.dss.model.InMemoryDocument;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.timestamp.DetachedTimestampValidator;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/**
 * Has EU DSS judge evidence containers of Causeway.
 *
 * <p>usage: Judge TRUSTED.pem,... CONTAINER...
 */
public final class Judge {
    /** What DSS may remark on a container, and why it lies in the format. */
    private static final Map<String, String> REASONS = Map.of(
        "BBB_CV_IAFS_ANS",
        "the signature names the result of the hash chain, and the chain, which DSS does not know, the parts",
        "BBB_CV_DRNMND_ANS",
        "references are absolute, '/message.xml', and entries of a zip are not",
        "BBB_XCV_AIA_PRES_ANS",
        "certificates need not say where their issuer's lies: it is in the global configuration",
        "BBB_XCV_REVOC_PRES_ANS",
        "certificates need not name a responder: it is in the global configuration",
        "BBB_SAV_DMICTSTMCMI_ANS",
        "the time-stamp covers the octets of the signature value, and DSS takes the XML element around them",
        "BBB_VCI_ISPA_ANS",
        "the signature policy is named and not published");

    private final CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
    private final Map<String, Integer> remarks = new TreeMap<>();
    private int checks;

    public static void main(String[] arguments) throws Exception {
        Judge judge = new Judge();
        for (String file : arguments[0].split(",")) {
            judge.trusted.addCertificate(DSSUtils.loadCertificate(new File(file)));
        }
        int inside = 0, beside = 0, plain = 0, chained = 0;
        for (String file : List.of(arguments).subList(1, arguments.length)) {
            Map<String, byte[]> entries = read(Files.readAllBytes(Path.of(file)));
            judge.container(Path.of(file).getFileName().toString(), entries);
            if (entries.containsKey("META-INF/timestamp.tst")) beside++; else inside++;
            if (entries.containsKey("sig-hashchain.xml")) chained++; else plain++;
        }
        judge.remarks.forEach((key, times) ->
            System.out.println("remark of DSS, " + times + " times: " + key + ": " + REASONS.get(key)));
        System.out.println("containers: " + plain + " with a signature of one part, " + chained
            + " with a hash chain; " + inside + " with the time-stamp inside, " + beside + " of a batch");
        judge.check("all kinds of containers were judged", inside > 0 && beside > 0 && plain > 0 && chained > 0);
        System.out.println(judge.checks + " passed, 0 failed");
    }

    private void container(String name, Map<String, byte[]> entries) throws Exception {
        SimpleReport report = report(entries);
        String id = report.getFirstSignatureId();
        check(name + " is " + report.getIndication(id) + ", " + report.getSignatureFormat(id),
            report.getSignaturesCount() == 1 && report.getIndication(id) == Indication.TOTAL_PASSED);
        check(name + " has no error", report.getAdESValidationErrors(id).isEmpty());
        remark(name, report.getAdESValidationWarnings(id));
        remark(name, report.getAdESValidationInfo(id));

        String signature = new String(entries.get("META-INF/signatures.xml"), StandardCharsets.UTF_8);
        byte[] beside = entries.get("META-INF/timestamp.tst");
        if (beside == null) {
            // By XAdES the time-stamp would cover the canonical element; by the format it covers the octets.
            var stamps = report.getSignatureTimestamps(id);
            check(name + ": DSS refuses the time-stamp for its digest alone",
                stamps.size() == 1 && stamps.get(0).getSubIndication() == SubIndication.HASH_FAILURE);
            token(name, base64(signature, "EncapsulatedTimeStamp"), base64(signature, "SignatureValue"));
        } else {
            token(name, beside, entries.get("ts-hashchainresult.xml"));
        }

        Map<String, byte[]> changed = new LinkedHashMap<>(entries);
        String signed = entries.containsKey("sig-hashchainresult.xml") ? "sig-hashchainresult.xml" : "message.xml";
        byte[] octets = changed.get(signed).clone();
        octets[octets.length / 2] ^= 1;
        changed.put(signed, octets);
        SimpleReport refusal = report(changed);
        String changedId = refusal.getFirstSignatureId();
        // DSS finds the part by its digest, as the name does not fit: what was changed, it does not find.
        check(name + ": a change in " + signed + " is noticed: " + refusal.getIndication(changedId) + " "
            + refusal.getSubIndication(changedId),
            refusal.getIndication(changedId) != Indication.TOTAL_PASSED
                && (refusal.getSubIndication(changedId) == SubIndication.SIGNED_DATA_NOT_FOUND
                    || refusal.getSubIndication(changedId) == SubIndication.HASH_FAILURE));
    }

    /** DSS judges a time-stamp over the octets that the format lays down, and notices other ones. */
    private void token(String name, byte[] token, byte[] stamped) {
        check(name + ": the time-stamp is PASSED", stamp(token, stamped) == Indication.PASSED);
        byte[] other = stamped.clone();
        other[0] ^= 1;
        check(name + ": a time-stamp of other octets is noticed", stamp(token, other) == Indication.FAILED);
    }

    private Indication stamp(byte[] token, byte[] stamped) {
        DetachedTimestampValidator validator = new DetachedTimestampValidator(new InMemoryDocument(token));
        validator.setTimestampedData(new InMemoryDocument(stamped));
        validator.setCertificateVerifier(verifier());
        SimpleReport report = validator.validateDocument().getSimpleReport();
        return report.getIndication(report.getFirstTimestampId());
    }

    private SimpleReport report(Map<String, byte[]> entries) throws Exception {
        InMemoryDocument document = new InMemoryDocument(write(entries), "evidence.asice");
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(document);
        validator.setCertificateVerifier(verifier());
        return validator.validateDocument().getSimpleReport();
    }

    /** Nothing is fetched: what DSS knows are the trusted certificates and the container. */
    private CommonCertificateVerifier verifier() {
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        return verifier;
    }

    private void remark(String name, List<Message> messages) {
        for (Message message : messages) {
            check(name + ": no new remark: " + message.getKey() + " " + message.getValue(),
                REASONS.containsKey(message.getKey()));
            remarks.merge(message.getKey(), 1, Integer::sum);
        }
    }

    private void check(String what, boolean good) {
        if (!good) {
            System.out.println("FAILED: " + what);
            System.exit(1);
        }
        checks++;
    }

    private static byte[] base64(String document, String element) {
        Matcher matcher = Pattern.compile("<[a-z]+:" + element + "[^>]*>([^<]*)</").matcher(document);
        if (!matcher.find()) throw new IllegalStateException("no " + element);
        return Base64.getMimeDecoder().decode(matcher.group(1));
    }

    private static Map<String, byte[]> read(byte[] zip) throws Exception {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        try (ZipInputStream input = new ZipInputStream(new ByteArrayInputStream(zip))) {
            for (ZipEntry entry = input.getNextEntry(); entry != null; entry = input.getNextEntry()) {
                entries.put(entry.getName(), input.readAllBytes());
            }
        }
        return entries;
    }

    private static byte[] write(Map<String, byte[]> entries) throws Exception {
        ByteArrayOutputStream octets = new ByteArrayOutputStream();
        try (ZipOutputStream output = new ZipOutputStream(octets)) {
            for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
                output.putNextEntry(new ZipEntry(entry.getKey()));
                output.write(entry.getValue());
                output.closeEntry();
            }
        }
        return octets.toByteArray();
    }
}
