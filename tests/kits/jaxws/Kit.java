import jakarta.activation.DataHandler;
import jakarta.annotation.Resource;
import jakarta.jws.WebService;
import jakarta.mail.util.ByteArrayDataSource;
import jakarta.xml.soap.AttachmentPart;
import jakarta.xml.soap.MessageFactory;
import jakarta.xml.soap.SOAPConnectionFactory;
import jakarta.xml.soap.SOAPElement;
import jakarta.xml.soap.SOAPHeaderElement;
import jakarta.xml.soap.SOAPMessage;
import jakarta.xml.ws.BindingProvider;
import jakarta.xml.ws.Endpoint;
import jakarta.xml.ws.Holder;
import jakarta.xml.ws.Provider;
import jakarta.xml.ws.Service;
import jakarta.xml.ws.ServiceMode;
import jakarta.xml.ws.WebServiceContext;
import jakarta.xml.ws.WebServiceProvider;
import jakarta.xml.ws.handler.MessageContext;
import jakarta.xml.ws.soap.MTOM;
import jakarta.xml.ws.soap.MTOMFeature;
import jakarta.xml.ws.soap.SOAPFaultException;
import java.net.URL;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import javax.xml.namespace.QName;

/**
 * Providers and consumers written with JAX-WS and SAAJ, with two servers of Causeway between them.
 *
 * <p>usage: Kit SERVER-URL PROVIDER-ADDRESS
 */
public final class Kit {
    private static final String[] CLIENT = {"CW", "GOV", "1001", "permits"};
    private static final String XOP = "application/xop+xml";
    /** Sizes of documents: the last is larger than any buffer on the way. */
    private static final int[] SIZES = {0, 1, 1000, 70_001, 5_000_003};
    private static int checks;

    /** The provider with MTOM. */
    @MTOM
    @WebService(serviceName = "DocumentsService", portName = "DocumentsPort", targetNamespace = Documents.NAMESPACE,
        endpointInterface = "Documents")
    public static final class DocumentsProvider implements Documents {
        @Resource
        private WebServiceContext context;

        @Override
        public Document turn(Holder<Identifier> client, Holder<Identifier> service, Holder<String> userId,
            Holder<String> id, Holder<String> protocolVersion, Document document) {
            if ("refuse".equals(document.cameAs)) {
                throw new IllegalStateException("documents of this kind are refused");
            }
            try {
                byte[] octets = octets(document.content);
                return document(turned(octets), type(context.getMessageContext(), MessageContext.HTTP_REQUEST_HEADERS));
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    /** The provider with attachments: gives them back, each turned round. */
    @WebServiceProvider(serviceName = "AttachmentsService", portName = "AttachmentsPort",
        targetNamespace = Documents.NAMESPACE)
    @ServiceMode(Service.Mode.MESSAGE)
    public static final class AttachmentsProvider implements Provider<SOAPMessage> {
        @Override
        public SOAPMessage invoke(SOAPMessage request) {
            try {
                SOAPMessage answer = MessageFactory.newInstance().createMessage();
                Iterator<SOAPHeaderElement> blocks = request.getSOAPHeader().examineAllHeaderElements();
                while (blocks.hasNext()) {
                    answer.getSOAPHeader().addChildElement(blocks.next());
                }
                answer.getSOAPBody().addChildElement("enclosedResponse", "k", Documents.NAMESPACE)
                    .addTextNode(Integer.toString(request.countAttachments()));
                for (AttachmentPart part : attachments(request)) {
                    attach(answer, part.getContentId(), turned(octets(part.getDataHandler())));
                }
                return answer;
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        String server = arguments[0], provider = "http://" + arguments[1];
        Endpoint documents = Endpoint.publish(provider + "/documents", new DocumentsProvider());
        Endpoint attachments = Endpoint.publish(provider + "/attachments", new AttachmentsProvider());
        try {
            overMtom(server, provider);
            overAttachments(server);
        } finally {
            documents.stop();
            attachments.stop();
        }
        System.out.println(checks + " passed, 0 failed");
        System.exit(0);
    }

    private static void overMtom(String server, String provider) throws Exception {
        Service service = Service.create(new URL(provider + "/documents?wsdl"),
            new QName(Documents.NAMESPACE, "DocumentsService"));
        QName name = new QName(Documents.NAMESPACE, "DocumentsPort");
        for (boolean mtom : new boolean[] {true, false}) {
            Documents port = service.getPort(name, Documents.class, new MTOMFeature(mtom));
            Map<String, Object> settings = ((BindingProvider) port).getRequestContext();
            settings.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, server);
            for (int size : SIZES) {
                byte[] octets = random(size);
                var client = new Holder<>(Documents.Identifier.of(CLIENT));
                var called = new Holder<>(service("turn"));
                var user = new Holder<>("VN0792\u00e9\u1ebf");
                String sent = UUID.randomUUID().toString();
                var id = new Holder<>(sent);
                var version = new Holder<>("4.0");
                Documents.Document answer = port.turn(client, called, user, id, version, document(octets, null));
                String what = "a document of " + size + " octets, " + (mtom ? "as MTOM: " : "as base64: ");
                check(what + "comes back turned", Arrays.equals(octets(answer.content), turned(octets)));
                check(what + "its size", answer.size == size);
                check(what + "reached the provider as it was sent: " + answer.cameAs,
                    answer.cameAs.contains(XOP) == mtom);
                Map<String, Object> context = ((BindingProvider) port).getResponseContext();
                String type = type(context, MessageContext.HTTP_RESPONSE_HEADERS);
                check(what + "the answer came as the provider sends it, of the request's kind: " + type,
                    type.contains(XOP) == mtom);
                check(what + "header blocks come back", id.value.equals(sent) && user.value.startsWith("VN0792")
                    && called.value.serviceCode.equals("turn") && client.value.memberCode.equals("1001"));
            }
            Documents.Document refused = document(random(10), null);
            refused.cameAs = "refuse";
            fault("a fault of the provider", "Server", "documents of this kind are refused",
                () -> turn(port, "turn", refused));
            // The element in the body may be longer than the code of the service.
            fault("a service that is not there", "unknown_service", "",
                () -> turn(port, "tur", document(random(10), null)));
            fault("a service that is not in the body", "inconsistent_headers", "",
                () -> turn(port, "missing", document(random(10), null)));
        }
    }

    private static void overAttachments(String server) throws Exception {
        for (int count : new int[] {0, 1, 3, 40}) {
            SOAPMessage request = MessageFactory.newInstance().createMessage();
            block(request, "client", Documents.Identifier.of(CLIENT));
            block(request, "service", service("enclosed"));
            text(request, "id", UUID.randomUUID().toString());
            text(request, "protocolVersion", "4.0");
            request.getSOAPBody().addChildElement("enclosed", "k", Documents.NAMESPACE);
            List<byte[]> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(random(SIZES[1 + i % 4] / (count > 4 ? 10 : 1)));
                attach(request, "<part-" + i + "@kit>", sent.get(i));
            }
            request.saveChanges();
            SOAPMessage answer = SOAPConnectionFactory.newInstance().createConnection().call(request, server);
            String what = count + " attachments: ";
            check(what + "no fault: " + answer.getSOAPBody().getTextContent(), !answer.getSOAPBody().hasFault());
            check(what + "the provider saw them", answer.getSOAPBody().getTextContent().equals("" + count));
            check(what + "the answer has the hash of the request", answer.getSOAPHeader()
                .getChildElements(new QName(Documents.HEADERS, "requestHash")).hasNext());
            List<AttachmentPart> parts = attachments(answer);
            check(what + "as many come back: " + parts.size(), parts.size() == count);
            // By their names: a provider of this implementation gets attachments in no order of their own.
            Map<String, byte[]> named = new HashMap<>();
            for (AttachmentPart part : parts) {
                named.put(part.getContentId(), octets(part.getDataHandler()));
            }
            for (int i = 0; i < count; i++) {
                check(what + "number " + i + " octet for octet",
                    Arrays.equals(named.get("<part-" + i + "@kit>"), turned(sent.get(i))));
            }
        }
    }

    private static Documents.Document turn(Documents port, String code, Documents.Document document) {
        return port.turn(new Holder<>(Documents.Identifier.of(CLIENT)), new Holder<>(service(code)),
            new Holder<>("VN0792"), new Holder<>(UUID.randomUUID().toString()), new Holder<>("4.0"), document);
    }

    private static void fault(String what, String code, String text, Runnable call) {
        try {
            call.run();
        } catch (SOAPFaultException error) {
            String told = error.getFault().getFaultCode() + " " + error.getFault().getFaultString();
            check(what + " is a fault for the consumer: " + told, told.contains(code) && told.contains(text));
            return;
        }
        check(what + " is a fault for the consumer", false);
    }

    private static Documents.Identifier service(String code) {
        return Documents.Identifier.of("CW", "NDC", "2001", "population", code);
    }

    private static Documents.Document document(byte[] octets, String cameAs) {
        Documents.Document document = new Documents.Document();
        document.size = octets.length;
        document.cameAs = cameAs;
        document.content = new DataHandler(new ByteArrayDataSource(octets, "application/octet-stream"));
        return document;
    }

    private static void block(SOAPMessage message, String name, Documents.Identifier identifier) throws Exception {
        SOAPElement block = message.getSOAPHeader().addChildElement(name, "x", Documents.HEADERS);
        block.addAttribute(new QName(Documents.IDENTIFIERS, "objectType", "i"), identifier.objectType);
        String[][] parts = {{"xRoadInstance", identifier.instance}, {"memberClass", identifier.memberClass},
            {"memberCode", identifier.memberCode}, {"subsystemCode", identifier.subsystemCode},
            {"serviceCode", identifier.serviceCode}};
        for (String[] part : parts) {
            if (part[1] != null) block.addChildElement(part[0], "i", Documents.IDENTIFIERS).addTextNode(part[1]);
        }
    }

    private static void text(SOAPMessage message, String name, String value) throws Exception {
        message.getSOAPHeader().addChildElement(name, "x", Documents.HEADERS).addTextNode(value);
    }

    private static void attach(SOAPMessage message, String id, byte[] octets) throws Exception {
        AttachmentPart part = message.createAttachmentPart();
        part.setRawContentBytes(octets, 0, octets.length, "application/octet-stream");
        part.setContentId(id);
        message.addAttachmentPart(part);
    }

    private static List<AttachmentPart> attachments(SOAPMessage message) {
        List<AttachmentPart> parts = new ArrayList<>();
        message.getAttachments().forEachRemaining(parts::add);
        return parts;
    }

    /** The content type of an HTTP message. */
    private static String type(Map<String, Object> context, String headers) {
        for (Map.Entry<?, ?> header : ((Map<?, ?>) context.get(headers)).entrySet()) {
            if ("content-type".equalsIgnoreCase((String) header.getKey())) return header.getValue().toString();
        }
        return "none";
    }

    private static byte[] octets(DataHandler content) throws Exception {
        return content.getInputStream().readAllBytes();
    }

    private static byte[] turned(byte[] octets) {
        byte[] turned = new byte[octets.length];
        for (int i = 0; i < octets.length; i++) turned[i] = octets[octets.length - 1 - i];
        return turned;
    }

    private static byte[] random(int size) {
        byte[] octets = new byte[size];
        new Random(size).nextBytes(octets);
        return octets;
    }

    private static void check(String what, boolean good) {
        System.out.println((good ? "ok: " : "FAILED: ") + what);
        if (!good) System.exit(1);
        checks++;
    }
}
